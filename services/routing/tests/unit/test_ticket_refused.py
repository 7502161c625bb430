"""Given a ticket, when tickets refuses a decision, then the whole ticket; and what follows from a ticket."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from deskline_events.conditions import Circumstances
from deskline_events.facts import Customer, Fact, Line
from deskline_events.tickets import (
    Actor,
    CustomerMessage,
    CustomerReplied,
    DecisionRefused,
    OfferDeclined,
    OfferEnded,
    StageChanged,
    TicketAccepted,
    TicketOpened,
)
from deskline_routing.domain.deciding import withdraw_offer
from deskline_routing.domain.ticket import (
    Offer,
    Ticket,
    conduct_in,
    evolve,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
UNTIL = NOW + timedelta(minutes=30)
OLGA, OLEG, QUEUE, OFFER, ASKED, TEAM, OTHER, LINE, COMPANY, TICKET, STORY = (
    UUID(int=number) for number in range(1, 12)
)
SYSTEM, BY_OLEG = Actor(kind="system"), Actor(kind="operator", id=OLEG)
FOUND = Circumstances(line_id=LINE, channel="email", language="ru", level=1, priority="medium")
OPEN = Offer(OFFER, OLGA, 4, NOW, UNTIL, team_id=TEAM, decision_id=UUID(int=50))

# Everything is set, so that whatever a fact should clear is seen to be cleared, and nothing else.
FULL = Ticket(
    ticket_id=TICKET,
    correlation_id=STORY,
    waiting_since=NOW,
    circumstances=FOUND,
    stage="in_progress",
    assignment_no=4,
    queue_id=QUEUE,
    requeue=True,
    asked_no=4,
    asked_id=ASKED,
    assignee_id=OLEG,
    assignee_team_id=TEAM,
    return_no=4,
    offer=OPEN,
    preferred_id=OLGA,
    queue_attempt=2,
    attempt=3,
    refusals=1,
    refused_by={OLEG: "declined"},
    waiting=True,
)
UNTRIED: dict[str, Any] = {
    "attempt": 0,
    "queue_attempt": 0,
    "refusals": 0,
    "refused_by": {},
    "waiting": False,
}
ASKED_NOTHING: dict[str, Any] = {"asked_no": None, "asked_id": None}


def team_for(queue_id: UUID | None, operator_id: UUID) -> UUID | None:
    """A team that tells what was asked."""
    return None if queue_id is None else UUID(int=queue_id.int * 1000 + operator_id.int)


def after(ticket: Ticket, fact: Fact) -> Ticket:
    return evolve(ticket, fact, LATER, team_for)


def refused(**given: Any) -> DecisionRefused:
    fields: dict[str, Any] = {
        "decision": "offer",
        "decision_id": UUID(int=77),
        "offer_id": None,
        "reason": "stale",
        "stage": "waiting_customer",
        "assignee_id": OLEG,
        "assignment_no": 4,
    }
    return DecisionRefused(**(fields | given))


def opened(**given: Any) -> TicketOpened:
    fields: dict[str, Any] = {
        "number": 7,
        "line": Line(line_id=LINE, name="Support", channel="form", language="en"),
        "contact_id": OLGA,
        "customer": Customer(contact_id=OLGA, tier="gold", company_id=COMPANY, new=True, verified=True),
        "subject": "Printer",
        "message": CustomerMessage(source_key="0" * 64, received_at=NOW, kind="human", text="x"),
        "priority": "high",
        "level": 2,
        "reply_token": "t",
    }
    return TicketOpened(**(fields | given))


# DecisionRefused


def test_a_refusal_tells_the_stage_and_who_has_the_ticket_whatever_was_decided() -> None:
    told = replace(FULL, stage="waiting_customer")
    assert after(FULL, refused(decision="step")) == told
    assert after(FULL, refused(assignee_id=OLGA, decision="step")) == replace(
        told, assignee_id=OLGA, assignee_team_id=None
    )
    assert after(FULL, refused(assignment_no=5, decision="step")) == replace(told, assignment_no=5, **UNTRIED)


def test_a_refused_queue_counts_where_the_number_was_right() -> None:
    told = replace(FULL, stage="waiting_customer", **ASKED_NOTHING)
    assert after(FULL, refused(decision="queue", decision_id=ASKED)) == replace(told, refusals=2)
    moved_on = after(FULL, refused(decision="queue", decision_id=ASKED, assignment_no=5))
    assert moved_on == replace(told, assignment_no=5, **UNTRIED)


def test_a_refused_offer_is_gone_and_counts_where_the_number_was_right() -> None:
    told = replace(FULL, stage="waiting_customer", offer=None)
    by_offer, by_decision = {"offer_id": OFFER}, {"decision_id": OPEN.decision_id}
    for named in (by_offer, by_decision):
        assert after(FULL, refused(**named)) == replace(told, refusals=2)
        assert after(FULL, refused(**named, assignment_no=5)) == replace(told, assignment_no=5, **UNTRIED)


def test_a_refused_withdrawal_ends_the_offer_and_counts_for_nothing() -> None:
    told = replace(FULL, stage="waiting_customer", offer=None)
    assert after(FULL, refused(decision="withdrawal", offer_id=OFFER)) == told


@pytest.mark.parametrize("decision", ["queue", "offer", "withdrawal"])
def test_a_refusal_of_what_is_not_asked_any_more_changes_no_question(decision: str) -> None:
    told = replace(FULL, stage="waiting_customer")
    assert after(FULL, refused(decision=decision, offer_id=UUID(int=88))) == told
    without = replace(FULL, offer=None)
    assert after(without, refused(decision=decision, offer_id=UUID(int=88))) == replace(told, offer=None)


@pytest.mark.parametrize("decision", ["unassignment", "step"])
def test_a_refusal_of_another_kind_leaves_the_offer_that_it_names(decision: str) -> None:
    assert after(FULL, refused(decision=decision, offer_id=OFFER)).offer == OPEN
    assert after(FULL, refused(decision=decision, decision_id=ASKED)).asked_id == ASKED


def test_an_assignee_is_asked_for_again_only_under_another_number() -> None:
    told = replace(FULL, stage="waiting_customer")
    assert after(FULL, refused(decision="unassignment")) == told
    moved_on = after(FULL, refused(decision="unassignment", assignment_no=5))
    assert moved_on == replace(told, assignment_no=5, return_no=None, **UNTRIED)
    assert after(FULL, refused(decision="step", assignment_no=5)).return_no == 4


def test_other_facts_leave_a_ticket_as_it_is() -> None:
    said = CustomerReplied(contact_id=OLGA, message=opened().message)
    assert after(FULL, said) is FULL


# What follows from a ticket


def test_whose_load_a_ticket_is() -> None:
    assert FULL.holders == (OLEG, OLGA)
    assert replace(FULL, offer=None).holders == (OLEG,)
    assert replace(FULL, assignee_id=None).holders == (OLGA,)
    assert replace(FULL, stage="closed").holders == (OLGA,)
    assert replace(FULL, assignee_id=None, offer=None).holders == ()


def test_a_ticket_needs_somebody_unless_anything_is_open() -> None:
    idle = replace(FULL, assignee_id=None, offer=None, **ASKED_NOTHING)
    assert idle.needs_somebody
    assert replace(idle, asked_no=3).needs_somebody
    for more in ({"asked_no": 4}, {"assignee_id": OLEG}, {"offer": OPEN}, {"stage": "spam"}):
        assert not replace(idle, **more).needs_somebody


def test_a_new_round_asks_everybody() -> None:
    assert FULL.begin_round() == replace(FULL, refused_by={})


def test_half_of_the_time_is_enough_to_have_seen_an_offer() -> None:
    assert not OPEN.was_seen_in_time
    half = NOW + timedelta(minutes=15)
    assert replace(OPEN, seen_at=half).was_seen_in_time
    assert not replace(OPEN, seen_at=half + timedelta(microseconds=1)).was_seen_in_time


def test_what_facts_say_of_operators() -> None:
    missed = OfferEnded(offer_id=OFFER, operator_id=OLGA, reason="timed_out", assignment_no=4)
    seen = replace(FULL, offer=replace(OPEN, seen_at=NOW))
    assert conduct_in(None, missed) is None
    assert conduct_in(replace(FULL, offer=None), missed) is None
    assert conduct_in(replace(seen, offer=replace(OPEN, seen_at=NOW, offer_id=UUID(int=88))), missed) is None
    found = conduct_in(seen, missed)
    assert found is not None
    assert (found.operator_id, found.kind) == (OLGA, "timed_out")
    answers = [
        OfferDeclined(offer_id=OFFER, operator_id=OLGA, assignment_no=4),
        TicketAccepted(operator_id=OLGA, offer_id=OFFER, actor=SYSTEM, assignment_no=5),
    ]
    for fact in answers:
        found = conduct_in(None, fact)
        assert found is not None
        assert (found.operator_id, found.kind) == (OLGA, "answered")
    closed = StageChanged(before="new", after="closed", actor=SYSTEM, cycle=1, assignment_no=4)
    assert conduct_in(seen, closed) is None


def test_a_withdrawal_names_the_offer_and_waits_for_its_end() -> None:
    ruling = withdraw_offer(FULL, "operator_lost")
    assert ruling is not None
    assert ruling.ticket == replace(FULL, offer=replace(OPEN, withdrawn=True))
    assert ruling.fact.model_dump(include={"offer_id", "operator_id", "assignment_no", "reason"}) == {
        "offer_id": OFFER,
        "operator_id": OLGA,
        "assignment_no": 4,
        "reason": "operator_lost",
    }
    assert withdraw_offer(replace(FULL, offer=None), "operator_lost") is None
