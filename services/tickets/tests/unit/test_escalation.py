"""Given events, when a person or a service-level step says which level, then events; and deliveries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.givens import (
    BY_OPERATOR,
    BY_SYSTEM,
    COLLEAGUE,
    CUSTOMER,
    NOW,
    OPERATOR,
    STAFF,
    TICKET,
    Given,
    Moved,
)

from deskline_events.facts import MAX_TEXT_BYTES, Fact
from deskline_events.tickets import Actor
from deskline_tickets.domain.commands import (
    EscalateTicket,
    HandOver,
    RecordDelivery,
    TakeStep,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    DecisionRefused,
    DeliveryChanged,
    Escalated,
    OfferEnded,
    OperatorReplied,
    PriorityChanged,
    PriorityRaised,
    TicketAccepted,
    TicketOffered,
    TicketUnassigned,
)
from deskline_tickets.domain.refusals import (
    NotPermitted,
    PersonErased,
    StaleVersion,
    TextTooLong,
    TicketEnded,
    TicketUnknown,
)
from deskline_tickets.domain.ticket import Delivery, Ticket, evolve

pytestmark = pytest.mark.unit


START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
QUEUE, OFFER, ASKED, REPLY, NOTIFICATION = (UUID(int=n) for n in (60, 80, 90, 50, 55))
STEP = "first_response/1/breach/1"


def then(ticket: Ticket, *facts: Fact) -> Ticket:
    for fact in facts:
        ticket = evolve(ticket, fact, ticket_id=TICKET, version=ticket.version + 1, time=NOW)
    return ticket


def escalate(ticket: Ticket, level: int = 2, **more: Any) -> EscalateTicket:
    fields: dict[str, Any] = {"actor": BY_OPERATOR, "roles": STAFF, "expected_version": ticket.version}
    return EscalateTicket(level=level, **(fields | more))


def step(*actions: str, **more: Any) -> TakeStep:
    fields: dict[str, Any] = {
        "decision_id": ASKED,
        "clock": "first_response",
        "cycle": 1,
        "step": "breach",
        "generation": 1,
        "due_at": NOW,
    }
    return TakeStep(**(fields | {"actions": actions or ("escalate",)} | more))


def accepted(operator: UUID, no: int) -> TicketAccepted:
    return TicketAccepted(operator_id=operator, actor=Actor(kind="operator", id=operator), assignment_no=no)


def offered(no: int) -> TicketOffered:
    return TicketOffered(
        offer_id=OFFER,
        operator_id=OPERATOR,
        queue_id=QUEUE,
        until=NOW,
        assignment_no=no,
        decision_id=UUID(int=91),
    )


def replied() -> OperatorReplied:
    return OperatorReplied(
        reply_id=REPLY, operator_id=OPERATOR, contact_id=CUSTOMER, text="x", seen_version=1
    )


def reason_of(ticket: Ticket, command: TakeStep) -> str:
    (event,) = decide(ticket, command)
    assert isinstance(event, DecisionRefused)
    assert (event.decision, event.decision_id) == ("step", command.decision_id)
    assert decide(then(ticket, event), command) == ()
    assert decide(then(ticket, event), replace(command, decision_id=UUID(int=99))) == ()
    return event.reason


# EscalateTicket


def test_an_escalation_drops_the_assignee_and_raises_level_priority_and_number(
    given: Given, moved: Moved
) -> None:
    ticket = given(accepted(OPERATOR, 1), moved("in_progress", no=2))
    told = HandOver(note=" Сложно ", tried="Перезагрузку", reproduce="", affected=None)
    unassigned, raised, escalated = decide(ticket, escalate(ticket, hand_over=told))
    assert unassigned == TicketUnassigned(
        operator_id=OPERATOR, reason="escalated", actor=BY_OPERATOR, assignment_no=3
    )
    assert raised == PriorityChanged(before="medium", after="high", actor=BY_OPERATOR)
    assert escalated == Escalated(
        before=1,
        after=2,
        reason="manual",
        actor=BY_OPERATOR,
        assignment_no=4,
        has_note=True,
        contact_id=CUSTOMER,
        note="Сложно",
        tried="Перезагрузку",
    )
    after = then(ticket, unassigned, raised, escalated)
    assert (after.level, after.priority, after.assignee_id) == (2, "high", None)
    assert (after.stage, after.assignment_no) == ("in_progress", 4)


def test_an_escalation_ends_the_open_offer_first(given: Given) -> None:
    ticket = given(offered(0))
    ended, _raised, escalated = decide(ticket, escalate(ticket))
    assert ended == OfferEnded(offer_id=OFFER, operator_id=OPERATOR, reason="ticket_moved", assignment_no=0)
    assert isinstance(escalated, Escalated)
    assert (escalated.assignment_no, escalated.has_note) == (1, False)


def test_the_way_back_prefers_who_had_it_and_raises_no_priority(given: Given, moved: Moved) -> None:
    first = given(accepted(OPERATOR, 1), moved("in_progress", no=2))
    second = then(first, *decide(first, escalate(first)))
    second = then(second, accepted(COLLEAGUE, second.assignment_no + 1))
    unassigned, back = decide(second, escalate(second, 1))
    assert isinstance(unassigned, TicketUnassigned)
    assert isinstance(back, Escalated)
    assert (back.before, back.after, back.preferred_operator_id) == (2, 1, OPERATOR)
    again = then(second, unassigned, back)
    assert again.priority == "high"
    *_, up = decide(again, escalate(again))
    assert isinstance(up, Escalated)
    assert up.preferred_operator_id == COLLEAGUE


def test_who_gave_a_ticket_back_is_not_preferred(given: Given, moved: Moved) -> None:
    gone = TicketUnassigned(operator_id=OPERATOR, reason="given_back", actor=BY_OPERATOR, assignment_no=3)
    ticket = given(accepted(OPERATOR, 1), moved("in_progress", no=2), gone)
    ticket = then(ticket, *decide(ticket, escalate(ticket)))
    (back,) = decide(ticket, escalate(ticket, 1))
    assert isinstance(back, Escalated)
    assert back.preferred_operator_id is None


def test_the_highest_priority_stays(given: Given) -> None:
    ticket = given(PriorityChanged(before="medium", after="critical", actor=BY_OPERATOR))
    assert [type(event) for event in decide(ticket, escalate(ticket))] == [Escalated]


def test_an_escalation_is_refused(given: Given, moved: Moved) -> None:
    with pytest.raises(StaleVersion):
        decide(given(), escalate(given(), expected_version=7))
    for stage in ("resolved", "closed", "spam"):
        ticket = given(moved(stage))
        with pytest.raises(TicketEnded):
            decide(ticket, escalate(ticket))
    for other in ({"roles": frozenset({"admin"})}, {"actor": Actor(kind="contact", id=CUSTOMER)}):
        with pytest.raises(NotPermitted):
            decide(given(), escalate(given(), **other))
    with pytest.raises(TicketUnknown):
        decide(None, escalate(given()))


def test_what_is_handed_over_is_bounded_together_and_not_kept_for_the_erased(given: Given) -> None:
    half = "x" * (MAX_TEXT_BYTES // 2)
    assert decide(given(), escalate(given(), hand_over=HandOver(note=half, tried=half)))
    with pytest.raises(TextTooLong):
        decide(given(), escalate(given(), hand_over=HandOver(note=half, tried=half, affected="x")))
    with pytest.raises(PersonErased):
        decide(given(), escalate(given(), erased=True, hand_over=HandOver(tried="x")))
    assert decide(given(), escalate(given(), erased=True, hand_over=HandOver(tried=" ")))


def test_an_escalation_is_quiet_when_repeated(given: Given) -> None:
    after = then(given(), *decide(given(), escalate(given())))
    assert decide(after, escalate(given())) == ()
    assert decide(given(), escalate(given(), 1)) == ()


# TakeStep


def test_a_step_escalates_once(given: Given, moved: Moved) -> None:
    ticket = given(accepted(OPERATOR, 1), moved("in_progress", no=2))
    unassigned, raised, escalated = decide(ticket, step("escalate", "raise_priority"))
    assert isinstance(unassigned, TicketUnassigned)
    assert raised == PriorityRaised(
        before="medium", after="high", actor=BY_SYSTEM, step_key=STEP, decision_id=ASKED
    )
    assert escalated == Escalated(
        before=1,
        after=2,
        reason="timeout",
        actor=BY_SYSTEM,
        assignment_no=4,
        step_key=STEP,
        contact_id=CUSTOMER,
        decision_id=ASKED,
    )
    after = then(ticket, unassigned, raised, escalated)
    assert decide(after, step("escalate", "raise_priority")) == ()
    assert decide(after, step("escalate", decision_id=UUID(int=99))) == ()
    assert decide(after, step("escalate", decision_id=UUID(int=99), generation=2)) != ()


def test_a_step_raises_the_priority_once(given: Given) -> None:
    (event,) = decide(given(), step("raise_priority"))
    assert isinstance(event, PriorityRaised)
    assert (event.before, event.after, event.step_key) == ("medium", "high", STEP)
    after = then(given(), event)
    assert (after.priority, after.level, after.assignment_no) == ("high", 1, 0)
    assert decide(after, step("raise_priority")) == ()


def test_a_step_that_only_tells_somebody_is_none_of_the_tickets(given: Given) -> None:
    assert decide(given(), step(actions=())) == ()


def test_a_step_does_what_can_still_be_done(given: Given) -> None:
    highest = Escalated(
        before=1, after=3, reason="manual", actor=BY_OPERATOR, assignment_no=1, contact_id=CUSTOMER
    )
    ticket = given(highest)
    assert reason_of(ticket, step("escalate")) == "highest_level"
    assert [type(event) for event in decide(ticket, step("escalate", "raise_priority"))] == [PriorityRaised]
    urgent = then(ticket, PriorityChanged(before="medium", after="critical", actor=BY_OPERATOR))
    assert reason_of(urgent, step("escalate", "raise_priority")) == "highest_priority"


@pytest.mark.parametrize(
    ("late", "reason"),
    [(timedelta(0), "clock_met"), (timedelta(seconds=1), "clock_met"), (-timedelta(1), None)],
)
def test_a_response_no_later_than_due_stands_against_the_breach(
    given: Given, late: timedelta, reason: str | None
) -> None:
    ticket = given(replied())
    assert ticket.first_human_reply_at is not None
    command = step("escalate", due_at=ticket.first_human_reply_at + late)
    if reason:
        assert reason_of(ticket, command) == reason
    else:
        assert isinstance(decide(ticket, command)[-1], Escalated)


def test_a_resolution_counts_for_its_own_cycle(given: Given, moved: Moved) -> None:
    ticket = given(moved("resolved"), moved("in_progress", cycle=2))
    resolved_at = START + timedelta(hours=1)
    of_cycle: dict[str, Any] = {"clock": "resolution"}
    assert reason_of(ticket, step(**of_cycle, due_at=resolved_at)) == "clock_met"
    assert reason_of(ticket, step(**of_cycle, due_at=START)) == "cycle_over"
    assert isinstance(decide(ticket, step(**of_cycle, cycle=2, due_at=NOW))[-1], Escalated)
    late = given(moved("resolved"))
    assert reason_of(late, step(**of_cycle, due_at=START)) == "ended"
    assert reason_of(given(moved("closed")), step("raise_priority")) == "ended"


# RecordDelivery


def delivery(state: Any = "sent", **more: Any) -> RecordDelivery:
    fields: dict[str, Any] = {
        "decision_id": ASKED,
        "reply_id": REPLY,
        "notification_id": NOTIFICATION,
        "state": state,
    }
    return RecordDelivery(**(fields | more))


def test_what_became_of_a_reply_is_kept_in_every_stage(given: Given, moved: Moved) -> None:
    for stage in ("in_progress", "closed", "spam"):
        ticket = given(replied(), moved(stage))
        (event,) = decide(ticket, delivery("failed", reason="smtp_550"))
        assert event == DeliveryChanged(
            reply_id=REPLY,
            notification_id=NOTIFICATION,
            state="failed",
            reason="smtp_550",
            decision_id=ASKED,
        )
        after = then(ticket, event)
        assert after.deliveries == {REPLY: Delivery(NOTIFICATION, "failed", "smtp_550")}
        assert after.assignment_no == ticket.assignment_no


def test_a_delivery_is_quiet_when_repeated_and_of_a_reply_that_is_none_of_the_tickets(given: Given) -> None:
    ticket = given(replied())
    after = then(ticket, *decide(ticket, delivery()))
    assert decide(after, delivery()) == ()
    assert decide(after, delivery(decision_id=UUID(int=99))) == ()
    assert decide(after, delivery("failed", decision_id=UUID(int=99), reason="gave_up")) != ()
    assert decide(given(), delivery()) == ()
