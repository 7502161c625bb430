"""The Ticket under any commands in any order: a state machine driven by hypothesis."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from deskline_events.facts import Customer, Fact, Line, Priority
from deskline_events.intake import MessageKind
from deskline_events.tickets import Actor, CustomerMessage, Stage
from deskline_tickets.domain.commands import (
    AddAutomaticMessage,
    AddCustomerReply,
    AddNote,
    ChangePriority,
    ChangeStage,
    Command,
    OpenTicket,
    ReplyToCustomer,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    STORED,
    AutomaticMessageAdded,
    MessageSetAside,
    NoteAdded,
    PriorityChanged,
    StageChanged,
    TicketOpened,
)
from deskline_tickets.domain.refusals import Refusal
from deskline_tickets.domain.stages import ENDS, find_move, legal_moves, standing
from deskline_tickets.domain.ticket import Recorded, Ticket, evolve, replay

pytestmark = pytest.mark.unit

TICKET, CUSTOMER, OPERATOR = (UUID(int=n) for n in (1, 2, 3))
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ACTORS = st.sampled_from(
    [
        (Actor(kind="operator", id=OPERATOR), frozenset({"operator"})),
        (Actor(kind="operator", id=OPERATOR), frozenset({"lead"})),
        (Actor(kind="operator", id=OPERATOR), frozenset({"analyst"})),
        (Actor(kind="contact", id=CUSTOMER), frozenset[str]()),
        (Actor(kind="contact", id=UUID(int=99)), frozenset[str]()),
        (Actor(kind="system"), frozenset[str]()),
    ]
)
STAGES = st.sampled_from(get_args(Stage))
REASONS = st.sampled_from([None, "solved", "no_reply"])
HOURS = st.sampled_from([None, -1, 1, 100])
BEHIND = st.sampled_from([None, 0, 0, 0, 1, -1])
FEW = st.integers(1, 12)


def message(number: int, kind: MessageKind) -> CustomerMessage:
    return CustomerMessage(source_key=f"{number:064x}", received_at=START, kind=kind, text="x")


class TicketUnderCommands(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stream: list[Recorded] = []
        self.ticket: Ticket | None = None
        self.now = START

    def when(self, command: Command) -> None:
        before, self.now = self.ticket, self.now + timedelta(hours=1)
        events = self.answer(command)
        if before is not None and before.stage in ENDS:
            assert all(isinstance(event, NoteAdded | AutomaticMessageAdded) for event in events)
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
            assert after.assignment_no == before.assignment_no + 1
        else:
            assert (after.stage, after.cycle) == (before.stage, before.cycle)
            assert after.assignment_no == before.assignment_no
        if isinstance(event, PriorityChanged):
            assert before.priority == event.before != event.after == after.priority

    def expected(self, behind: int | None) -> int | None:
        return None if behind is None or self.ticket is None else self.ticket.version - behind

    @initialize(kind=st.sampled_from(["human", "auto_reply"]))
    def open_ticket(self, kind: MessageKind) -> None:
        self.when(
            OpenTicket(
                actor=Actor(kind="contact", id=CUSTOMER),
                number=7,
                line=Line(line_id=UUID(int=4), name="Mail", channel="email", language="en"),
                contact_id=CUSTOMER,
                customer=Customer(contact_id=CUSTOMER),
                subject="x",
                message=message(1, kind),
                reply_token="t",
            )
        )

    @rule(number=FEW, contact=st.sampled_from([CUSTOMER, CUSTOMER, UUID(int=99)]), erased=st.booleans())
    def customer_writes(self, number: int, contact: UUID, erased: bool) -> None:
        actor = Actor(kind="contact", id=contact)
        self.when(
            AddCustomerReply(
                actor=actor,
                contact_id=contact,
                message=message(number, "human"),
                erased=erased and number == 9,
            )
        )

    @rule(number=FEW, kind=st.sampled_from(["auto_reply", "bounce", "list"]))
    def machine_writes(self, number: int, kind: MessageKind) -> None:
        actor = Actor(kind="system")
        self.when(AddAutomaticMessage(actor=actor, contact_id=CUSTOMER, message=message(number, kind)))

    @rule(by=ACTORS, number=FEW, behind=FEW, to=st.none() | STAGES, reason=REASONS, hours=HOURS)
    def operator_replies(
        self, *, by: Any, number: int, behind: int, to: Stage | None, reason: str | None, hours: int | None
    ) -> None:
        assert self.ticket is not None
        self.when(
            ReplyToCustomer(
                actor=by[0],
                roles=by[1],
                reply_id=UUID(int=100 + number),
                text="x",
                seen_version=max(1, self.ticket.version - behind + 1),
                now=self.now,
                then_stage=to,
                closing_reason=reason,
                until=self.now + timedelta(hours=hours) if hours else None,
            )
        )

    @rule(by=ACTORS, number=FEW)
    def operator_notes(self, by: Any, number: int) -> None:
        self.when(AddNote(actor=by[0], roles=by[1], note_id=UUID(int=200 + number), text="x"))

    @rule(by=ACTORS, to=STAGES, behind=BEHIND, reason=REASONS, hours=HOURS)
    def somebody_moves(
        self, *, by: Any, to: Stage, behind: int | None, reason: str | None, hours: int | None
    ) -> None:
        self.when(
            ChangeStage(
                actor=by[0],
                roles=by[1],
                stage=to,
                now=self.now,
                expected_version=self.expected(behind),
                closing_reason=reason,
                until=self.now + timedelta(hours=hours) if hours else None,
            )
        )

    @rule(pick=st.integers(0, 9))
    def a_lead_moves_on(self, pick: int) -> None:
        # Random moves are mostly refused: this one walks to the far ends of the table.
        assert self.ticket is not None
        actor, roles = Actor(kind="operator", id=OPERATOR), frozenset({"lead"})
        legal = legal_moves(self.ticket.stage, standing(actor, roles))
        if not legal:
            return
        # Spam is an end, so it comes only now and then.
        to = legal[pick % len(legal)] if pick else legal[-1]
        if to == "spam" and pick:
            to = legal[0]
        version = self.ticket.version
        self.when(
            ChangeStage(
                actor=actor,
                roles=roles,
                stage=to,
                now=self.now,
                expected_version=version,
                closing_reason="solved",
                until=self.now + timedelta(hours=9),
            )
        )
        assert self.ticket.version == version + 1

    @rule(by=ACTORS, to=st.sampled_from(get_args(Priority)), behind=BEHIND)
    def somebody_prioritises(self, by: Any, to: Priority, behind: int | None) -> None:
        self.when(
            ChangePriority(actor=by[0], roles=by[1], priority=to, expected_version=self.expected(behind))
        )

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


TestTicketUnderCommands = pytest.mark.unit(TicketUnderCommands.TestCase)
TicketUnderCommands.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_any_stored_event_can_be_applied_to_any_ticket(opening: TicketOpened, given: Any, moved: Any) -> None:
    class SomethingLater(Fact):
        TYPE = "SomethingLater.v1"

    ticket = given()
    for event in (SomethingLater(), opening, moved("merged"), moved("abandoned"), moved("new")):
        after = evolve(ticket, event, ticket_id=TICKET, version=5, time=START)
        assert after.version == 5


def test_nothing_but_an_opening_makes_a_ticket(moved: Any) -> None:
    set_aside = MessageSetAside(
        source_key="d" * 64, line_id=TICKET, contact_id=CUSTOMER, received_at=START, reason="list"
    )
    stream = [Recorded(TICKET, n + 1, START, event) for n, event in enumerate((set_aside, moved("closed")))]
    assert replay(stream) is None
    assert replay([]) is None


def test_the_state_holds_nothing_that_anybody_wrote(given: Any) -> None:
    assert "Принтер" not in repr(given())
    assert "Не печатает" not in repr(given())
