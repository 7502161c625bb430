"""The Ticket under any commands in any order: a state machine driven by hypothesis."""

from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from services.tickets.tests.watched_ticket import CUSTOMER, PRIORITIES, START, TICKET, WatchedTicket

from deskline_events.facts import Customer, Fact, Line, Priority
from deskline_events.intake import MessageKind
from deskline_events.tickets import Actor, CustomerMessage, Stage
from deskline_tickets.domain.commands import (
    AcceptOffer,
    AddAutomaticMessage,
    AddCustomerReply,
    AddNote,
    ChangePriority,
    ChangeQueue,
    ChangeStage,
    DeclineOffer,
    EndAssignment,
    EndOffer,
    EscalateTicket,
    HandOver,
    OfferTicket,
    OpenTicket,
    RecordDelivery,
    ReplyToCustomer,
    RouteTicket,
    TakeStep,
    UnassignTicket,
)
from deskline_tickets.domain.events import (
    DecisionRefused,
    MessageSetAside,
    TicketOpened,
)
from deskline_tickets.domain.stages import OVER, legal_moves, standing
from deskline_tickets.domain.ticket import Recorded, evolve, replay

pytestmark = pytest.mark.unit

OPERATOR, COLLEAGUE = (UUID(int=n) for n in (3, 33))
ACTORS = st.sampled_from(
    [
        (Actor(kind="operator", id=OPERATOR), frozenset({"operator"})),
        (Actor(kind="operator", id=COLLEAGUE), frozenset({"operator"})),
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
NEAR = st.sampled_from([0, 0, 0, 0, 1, -1])
OPERATORS = st.sampled_from([OPERATOR, COLLEAGUE])
QUEUES = st.sampled_from([UUID(int=n) for n in (60, 61)])
ACTIONS = st.sampled_from([(), ("escalate",), ("raise_priority",), ("escalate", "raise_priority")])


def message(number: int, kind: MessageKind) -> CustomerMessage:
    return CustomerMessage(source_key=f"{number:064x}", received_at=START, kind=kind, text="x")


class TicketUnderCommands(WatchedTicket):
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

    @rule(
        number=FEW,
        contact=st.sampled_from([CUSTOMER, CUSTOMER, UUID(int=99)]),
        erased=st.booleans(),
        keeps=st.booleans(),
    )
    def customer_writes(self, number: int, contact: UUID, erased: bool, keeps: bool) -> None:
        actor = Actor(kind="contact", id=contact)
        self.when(
            AddCustomerReply(
                actor=actor,
                contact_id=contact,
                message=message(number, "human"),
                erased=erased and number == 9,
                keeps_assignee=keeps,
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

    @rule(queue=QUEUES, near=NEAR)
    def routing_queues(self, queue: UUID, near: int) -> None:
        assert self.ticket is not None
        self.decide(
            RouteTicket(
                decision_id=self.new_decision(),
                queue_id=queue,
                team_id=None,
                assignment_no=max(0, self.ticket.assignment_no + near),
            )
        )

    @rule(operator=OPERATORS, queue=st.none() | QUEUES, near=NEAR)
    def routing_offers(self, operator: UUID, queue: UUID | None, near: int) -> None:
        assert self.ticket is not None
        decision = self.new_decision()
        self.decide(
            OfferTicket(
                decision_id=decision,
                offer_id=UUID(int=decision.int + 10_000),
                operator_id=operator,
                queue_id=queue or self.ticket.queue_id or UUID(int=60),
                until=self.now,
                assignment_no=max(0, self.ticket.assignment_no + near),
            )
        )

    @rule(other=st.integers(0, 4), reason=st.sampled_from(["timed_out", "operator_lost", "operator_left"]))
    def routing_withdraws(self, other: int, reason: Any) -> None:
        offer = self.open_offer(other)
        self.decide(EndOffer(decision_id=self.new_decision(), offer_id=offer, reason=reason))

    @rule(operator=st.none() | OPERATORS, near=NEAR)
    def routing_loses_the_assignee(self, operator: UUID | None, near: int) -> None:
        assert self.ticket is not None
        self.decide(
            EndAssignment(
                decision_id=self.new_decision(),
                operator_id=operator or self.ticket.assignee_id or OPERATOR,
                assignment_no=max(0, self.ticket.assignment_no + near),
                reason="operator_left",
            )
        )

    @rule(
        clock=st.sampled_from(["first_response", "resolution"]),
        cycle=NEAR,
        step=st.tuples(st.sampled_from("ab"), st.integers(1, 3)),
        hours=st.integers(0, 20),
        actions=ACTIONS,
    )
    def a_step_fires(self, *, clock: Any, cycle: int, step: Any, hours: int, actions: Any) -> None:
        assert self.ticket is not None
        before = self.ticket
        command = TakeStep(
            decision_id=self.new_decision(),
            clock=clock,
            cycle=max(1, before.cycle + cycle),
            step=step[0],
            generation=step[1],
            due_at=self.now - timedelta(hours=hours),
            actions=actions,
        )
        if not actions or f"step/{command.key}" in before.seen:
            assert not self.answer(command)
            return
        met_at = self.met_at(clock, command.cycle)
        self.decide(command)
        self.check_rise(before)
        refusal = self.stream[-1].event
        was_met = isinstance(refusal, DecisionRefused) and refusal.reason == "clock_met"
        assert was_met == (met_at is not None and met_at <= command.due_at)

    @rule(by=ACTORS, other=st.integers(0, 4))
    def somebody_accepts(self, by: Any, other: int) -> None:
        self.when(AcceptOffer(actor=by[0], roles=by[1], offer_id=self.open_offer(other)))

    @rule(by=ACTORS, other=st.integers(0, 4))
    def somebody_declines(self, by: Any, other: int) -> None:
        self.when(DeclineOffer(actor=by[0], roles=by[1], offer_id=self.open_offer(other)))

    @rule(operator=OPERATORS)
    def routing_goes_on(self, operator: UUID) -> None:
        # Random decisions are mostly outdated: this one is the next that routing would make.
        assert self.ticket is not None
        if self.ticket.queue_id is None:
            self.routing_queues(UUID(int=60), 0)
        elif self.ticket.offer is None:
            self.routing_offers(operator, None, 0)

    @rule(accepts=st.booleans())
    def the_operator_answers(self, accepts: bool) -> None:
        # As random answers mostly come from others.
        assert self.ticket is not None
        offer = self.ticket.offer
        if offer is None:
            return
        by = {"actor": Actor(kind="operator", id=offer.operator_id), "roles": frozenset({"operator"})}
        self.when((AcceptOffer if accepts else DeclineOffer)(**by, offer_id=offer.offer_id))  # type: ignore[arg-type]
        assert self.ticket.assignee_id == (offer.operator_id if accepts else None)
        assert self.ticket.offer is None

    @rule(by=ACTORS, leads=st.booleans(), behind=NEAR)
    def somebody_unassigns(self, by: Any, leads: bool, behind: int) -> None:
        assert self.ticket is not None
        version = self.ticket.version - behind
        self.when(UnassignTicket(actor=by[0], roles=by[1], leads=leads, expected_version=version))

    @rule(by=ACTORS, queue=QUEUES, behind=NEAR, known=st.sampled_from([True, True, False]))
    def somebody_requeues(self, by: Any, queue: UUID, behind: int, known: bool) -> None:
        assert self.ticket is not None
        self.when(
            ChangeQueue(
                actor=by[0],
                roles=by[1],
                queue_id=queue,
                team_id=None,
                known=known,
                expected_version=self.ticket.version - behind,
            )
        )

    @rule(by=ACTORS, level=st.integers(1, 3), behind=NEAR, note=st.sampled_from([None, "x"]))
    def somebody_escalates(self, by: Any, level: int, behind: int, note: str | None) -> None:
        assert self.ticket is not None
        before = self.ticket
        self.when(
            EscalateTicket(
                actor=by[0],
                roles=by[1],
                level=level,
                expected_version=before.version - behind,
                hand_over=HandOver(note=note),
            )
        )
        rise = PRIORITIES.index(self.ticket.priority) - PRIORITIES.index(before.priority)
        assert rise in ({0, 1} if self.ticket.level > before.level else {0})

    @rule(number=FEW, state=st.sampled_from(["sent", "failed"]))
    def notify_tells(self, number: int, state: Any) -> None:
        self.when(
            RecordDelivery(
                decision_id=self.new_decision(),
                reply_id=UUID(int=100 + number),
                notification_id=UUID(int=300 + number),
                state=state,
            )
        )

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
        # Spam is an end, and few things happen to what is resolved: both come only now and then.
        to = legal[pick % len(legal)]
        if to in OVER and pick > 2:
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
        assert self.ticket.version > version
        assert self.ticket.stage == to

    @rule(by=ACTORS, to=st.sampled_from(get_args(Priority)), behind=BEHIND)
    def somebody_prioritises(self, by: Any, to: Priority, behind: int | None) -> None:
        self.when(
            ChangePriority(actor=by[0], roles=by[1], priority=to, expected_version=self.expected(behind))
        )


TestTicketUnderCommands = pytest.mark.unit(TicketUnderCommands.TestCase)
TicketUnderCommands.TestCase.settings = settings(
    max_examples=200,
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
