"""Given a ticket, when tickets refuses a decision, then the whole ticket; and what follows from a ticket."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from services.routing.tests.full_ticket import (
    ASKED,
    ASKED_NOTHING,
    FULL,
    NOW,
    OFFER,
    OLEG,
    OLGA,
    OPEN,
    SYSTEM,
    UNTRIED,
    after,
    opened,
    refused,
)

from deskline_events.tickets import (
    CustomerReplied,
    OfferDeclined,
    OfferEnded,
    StageChanged,
    TicketAccepted,
)
from deskline_routing.domain.deciding import withdraw_offer
from deskline_routing.domain.ticket import (
    conduct_in,
)

pytestmark = pytest.mark.unit


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
