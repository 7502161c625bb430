"""A ticket that is watched: every fact that a command leads to is held to what must be true of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

from hypothesis.stateful import RuleBasedStateMachine, invariant

from deskline_events.facts import Fact, Priority
from deskline_tickets.domain.commands import (
    Command,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    STORED,
    AutomaticMessageAdded,
    DecisionRefused,
    DeliveryChanged,
    Escalated,
    NoteAdded,
    OfferDeclined,
    OfferEnded,
    OperatorReplied,
    PriorityChanged,
    PriorityRaised,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketRouted,
    TicketUnassigned,
)
from deskline_tickets.domain.refusals import Refusal
from deskline_tickets.domain.stages import ENDS, OVER, find_move
from deskline_tickets.domain.ticket import Recorded, Ticket, evolve, replay

TICKET, CUSTOMER = (UUID(int=n) for n in (1, 2))
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
KEPT_AT_AN_END = NoteAdded | AutomaticMessageAdded | DeliveryChanged | DecisionRefused


class WatchedTicket(RuleBasedStateMachine):
    """Checks without rules: what commands there are, its heir says."""

    def __init__(self) -> None:
        super().__init__()
        self.stream: list[Recorded] = []
        self.ticket: Ticket | None = None
        self.now = START
        self.decided = 1000

    def when(self, command: Command) -> None:
        before, self.now = self.ticket, self.now + timedelta(hours=1)
        events = self.answer(command)
        if before is not None and before.stage in ENDS:
            assert all(isinstance(event, KEPT_AT_AN_END) for event in events)
        for event in events:
            self.append(event)
        if events:
            # What it rests on has moved on: the same command is refused or changes nothing more.
            assert not self.answer(command)

    def answer(self, command: Command) -> Sequence[Fact]:
        try:
            return decide(self.ticket, command)
        except Refusal:
            return ()

    def append(self, event: Fact) -> None:
        before = self.ticket
        version = before.version + 1 if before else 1
        assert STORED[event.TYPE] is type(event)
        stored = type(event).model_validate_json(event.model_dump_json())
        assert stored == event
        self.stream.append(Recorded(TICKET, version, self.now, stored))
        after = evolve(before, stored, ticket_id=TICKET, version=version, time=self.now)
        assert after is not None
        if before is not None:
            self.check_step(before, after, event)
        self.ticket = after

    def decide(self, command: Command) -> None:
        """A decision of another service is answered, by facts or by one refusal that changes nothing."""
        before = self.ticket
        count = len(self.stream)
        self.when(command)
        answers = [one.event for one in self.stream[count:]]
        assert answers
        if any(isinstance(event, DecisionRefused) for event in answers):
            assert len(answers) == 1
            assert before is not None
            assert self.ticket is not None
            assert self.ticket == replace(before, version=before.version + 1, seen=self.ticket.seen)

    def new_decision(self) -> UUID:
        self.decided += 1
        return UUID(int=self.decided)

    def open_offer(self, other: int) -> UUID:
        """The open offer, or now and then another."""
        assert self.ticket is not None
        if self.ticket.offer is None or other == 0:
            return UUID(int=500 + other)
        return self.ticket.offer.offer_id

    def check_step(self, before: Ticket, after: Ticket, event: Fact) -> None:
        assert after.version == before.version + 1
        assert after.cycle - before.cycle in {0, 1}
        assert after.participants == before.participants
        assert before.seen <= after.seen
        if isinstance(event, StageChanged):
            move = find_move(before.stage, after.stage)
            assert move is not None
            assert event.before == before.stage
            assert after.cycle == before.cycle + move.reopens
        else:
            assert (after.stage, after.cycle) == (before.stage, before.cycle)
        raises = isinstance(event, StageChanged | TicketAccepted | TicketUnassigned | Escalated) or (
            isinstance(event, TicketRouted) and event.actor.kind == "operator"
        )
        assert after.assignment_no == before.assignment_no + raises
        # An offer rests on the number: it is answered, or ended, before the number rises.
        assert after.offer is None or not raises
        if isinstance(event, PriorityChanged | PriorityRaised):
            assert before.priority == event.before != event.after == after.priority
        else:
            assert before.priority == after.priority
        self.check_assignment(before, after, event)

    def check_assignment(self, before: Ticket, after: Ticket, event: Fact) -> None:
        match event:
            case TicketAccepted(operator_id=operator_id, offer_id=offer_id):
                assert before.assignee_id is None
                assert (after.assignee_id, after.offer) == (operator_id, None)
                assert offer_id == (before.offer and before.offer.offer_id)
                assert before.offer is None or before.offer.operator_id == operator_id
            case TicketUnassigned(operator_id=operator_id):
                assert (before.assignee_id, after.assignee_id) == (operator_id, None)
            case _:
                assert before.assignee_id == after.assignee_id
        match event:
            case TicketOffered(offer_id=offer_id):
                assert (before.offer, before.assignee_id) == (None, None)
                assert after.offer is not None
                assert after.offer.offer_id == offer_id
            case OfferDeclined(offer_id=offer_id) | OfferEnded(offer_id=offer_id):
                assert before.offer is not None
                assert (before.offer.offer_id, after.offer) == (offer_id, None)
        if isinstance(event, Escalated):
            assert (before.level, after.level) == (event.before, event.after)
            assert (before.offer, before.assignee_id) == (None, None)
            assert event.preferred_operator_id == before.holders.get(event.after)
        else:
            assert before.level == after.level

    def expected(self, behind: int | None) -> int | None:
        return None if behind is None or self.ticket is None else self.ticket.version - behind

    def met_at(self, clock: str, cycle: int) -> datetime | None:
        """When a clock was met, by a recount of the facts."""
        for one in self.stream:
            replied = clock == "first_response" and isinstance(one.event, OperatorReplied)
            resolved = isinstance(one.event, StageChanged) and (one.event.after, one.event.cycle) == (
                "resolved",
                cycle,
            )
            if replied or (clock == "resolution" and resolved):
                return one.time
        return None

    def check_rise(self, before: Ticket) -> None:
        assert self.ticket is not None
        rise = PRIORITIES.index(self.ticket.priority) - PRIORITIES.index(before.priority)
        assert rise in {0, 1}
        assert self.ticket.level - before.level in {0, 1}

    @invariant()
    def versions_are_dense_and_a_replay_gives_the_same(self) -> None:
        assert [one.version for one in self.stream] == list(range(1, len(self.stream) + 1))
        assert replay(self.stream) == self.ticket

    @invariant()
    def the_state_agrees_with_itself(self) -> None:
        ticket = self.ticket
        if ticket is None:
            return
        assert (ticket.closed_at is not None) == (ticket.stage == "closed")
        assert (ticket.resolved_at is not None) == (ticket.stage in {"resolved", "closed"})
        assert (ticket.closing_reason is not None) == (ticket.stage in {"resolved", "closed"})
        assert (ticket.until is not None) == (ticket.stage == "waiting_until")
        assert ticket.last_customer_version <= ticket.version
        assert ticket.stage != "new" or ticket.first_human_reply_at is None
        assert ticket.stage != "new" or ticket.assignee_id is None
        assert ticket.offer is None or ticket.assignee_id is None
        assert ticket.offer is None or ticket.stage not in OVER
        assert ticket.accepted_offer_id is None or ticket.assignee_id is not None
        assert 1 <= ticket.level <= 3

    @invariant()
    def every_offer_is_answered_once_unless_it_is_open(self) -> None:
        made = [one.event.offer_id for one in self.stream if isinstance(one.event, TicketOffered)]
        answered = [
            one.event.offer_id
            for one in self.stream
            if isinstance(one.event, OfferDeclined | OfferEnded | TicketAccepted)
            and one.event.offer_id is not None
        ]
        still = [] if self.ticket is None or self.ticket.offer is None else [self.ticket.offer.offer_id]
        assert sorted(made) == sorted(answered + still)

    @invariant()
    def every_step_is_taken_once(self) -> None:
        done = [
            one.event.step_key
            for one in self.stream
            if isinstance(one.event, Escalated | DecisionRefused) and one.event.step_key
        ]
        assert len(done) == len(set(done))
