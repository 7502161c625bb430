"""A ticket by what tickets says of it: numbers, offers, refusals, and who carries it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from deskline_events.conditions import Circumstances
from deskline_events.tickets import (
    Actor,
    DecisionRefused,
    Escalated,
    OfferDeclined,
    OfferEnded,
    PriorityChanged,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketRouted,
    TicketUnassigned,
)
from deskline_routing.domain.deciding import withdraw_offer
from deskline_routing.domain.ticket import Offer, Ticket, conduct_in, evolve

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, tzinfo=UTC)
OLGA, OLEG, QUEUE, OFFER, ASKED = (UUID(int=number) for number in range(1, 6))
SYSTEM = Actor(kind="system")
FOUND = Circumstances(line_id=UUID(int=1), channel="email", language="ru", level=1, priority="medium")
QUEUED = Ticket(
    UUID(int=9), UUID(int=9), NOW, FOUND, queue_id=QUEUE, attempt=2, refused_by={OLEG: "declined"}
)
OFFERED = replace(QUEUED, offer=Offer(OFFER, OLGA, 0, NOW, NOW + timedelta(minutes=30)))


def after(ticket: Ticket, fact: Any, minutes: float = 1) -> Ticket:
    return evolve(ticket, fact, NOW + timedelta(minutes=minutes), lambda _queue, _operator: None)


def ended(reason: Any) -> OfferEnded:
    return OfferEnded(offer_id=OFFER, operator_id=OLGA, reason=reason, assignment_no=0)


def refused(**given: Any) -> DecisionRefused:
    fields: dict[str, Any] = {
        "decision": "offer",
        "decision_id": UUID(int=77),
        "offer_id": OFFER,
        "reason": "stale",
        "stage": "new",
        "assignment_no": 0,
    }
    return DecisionRefused(**(fields | given))


def test_a_new_number_forgets_what_was_tried() -> None:
    fact = StageChanged(before="new", after="in_progress", actor=SYSTEM, cycle=1, assignment_no=1)
    moved = after(replace(QUEUED, waiting=True), fact)
    assert (moved.attempt, moved.refused_by, moved.waiting, moved.assignment_no) == (0, {}, False, 1)
    assert moved.queue_id == QUEUE


def test_a_priority_changes_nothing_but_the_circumstances() -> None:
    fact = PriorityChanged(before="medium", after="high", actor=SYSTEM)
    assert after(OFFERED, fact) == replace(
        OFFERED, circumstances=FOUND.model_copy(update={"priority": "high"})
    )


@pytest.mark.parametrize(
    ("fact", "refusals"),
    [
        (OfferDeclined(offer_id=OFFER, operator_id=OLGA, assignment_no=0), {OLGA, OLEG}),
        (ended("timed_out"), {OLGA, OLEG}),
        (ended("operator_lost"), {OLEG}),
        (ended("ticket_moved"), {OLEG}),
        (refused(), {OLEG}),
        (refused(decision="withdrawal"), {OLEG}),
    ],
)
def test_an_offer_ends_and_frees_its_operator(fact: Any, refusals: set[UUID]) -> None:
    done = after(OFFERED, fact)
    assert (done.offer, done.holders, set(done.refused_by)) == (None, (), refusals)
    assert done.needs_somebody


def test_what_is_said_of_another_offer_ends_nothing() -> None:
    other = UUID(int=99)
    assert after(OFFERED, ended("timed_out").model_copy(update={"offer_id": other})).offer == OFFERED.offer
    assert after(OFFERED, refused(offer_id=other)).offer == OFFERED.offer


def test_an_acceptance_by_another_leaves_the_offer_until_it_is_answered() -> None:
    actor = Actor(kind="operator", id=OLEG)
    taken = after(OFFERED, TicketAccepted(operator_id=OLEG, actor=actor, assignment_no=1))
    assert taken.holders == (OLEG, OLGA)
    assert not taken.needs_somebody
    done = after(taken, refused(stage="in_progress", assignee_id=OLEG, assignment_no=1))
    assert (done.holders, done.refusals) == ((OLEG,), 0)


def test_an_ended_ticket_is_nobodys_load_and_a_reopened_one_is_again() -> None:
    accepted = replace(QUEUED, assignee_id=OLGA, stage="in_progress")
    move = StageChanged(before="in_progress", after="resolved", actor=SYSTEM, cycle=1, assignment_no=1)
    resolved = after(accepted, move)
    assert (resolved.holders, resolved.assignee_id, resolved.needs_somebody) == ((), OLGA, False)
    back = StageChanged(before="resolved", after="in_progress", actor=SYSTEM, cycle=2, assignment_no=2)
    assert after(resolved, back).holders == (OLGA,)


def test_escalation_asks_for_the_queue_anew_and_keeps_who_is_preferred() -> None:
    fact = Escalated(
        before=1,
        after=2,
        reason="manual",
        actor=SYSTEM,
        assignment_no=1,
        preferred_operator_id=OLEG,
    )
    up = after(replace(QUEUED, assignee_id=OLGA), fact)
    assert (up.requeue, up.circumstances.level, up.preferred_id, up.assignee_id) == (True, 2, OLEG, None)
    unassigned = after(
        up, TicketUnassigned(operator_id=OLGA, reason="escalated", actor=SYSTEM, assignment_no=2)
    )
    assert (unassigned.requeue, unassigned.preferred_id) == (True, OLEG)
    routed = after(unassigned, TicketRouted(queue_id=ASKED, actor=SYSTEM, assignment_no=2))
    assert (routed.requeue, routed.queue_id, routed.preferred_id) == (False, ASKED, OLEG)


def test_only_the_refusal_of_the_open_question_closes_it() -> None:
    asking = replace(QUEUED, queue_id=None, asked_no=0, asked_id=ASKED)
    assert not asking.needs_somebody
    stale = after(asking, refused(decision="queue", offer_id=None))
    assert stale.asked_no == 0
    done = after(asking, refused(decision="queue", offer_id=None, decision_id=ASKED))
    assert (done.asked_no, done.refusals, done.needs_somebody) == (None, 1, True)


def test_a_refusal_tells_what_the_ticket_is() -> None:
    done = after(OFFERED, refused(stage="spam", assignee_id=OLEG, assignment_no=4))
    assert (done.stage, done.assignee_id, done.assignment_no, done.refusals) == ("spam", OLEG, 4, 0)


def test_an_offer_that_was_seen_too_late_is_no_timeout() -> None:
    shown = TicketOffered(
        offer_id=OFFER, operator_id=OLGA, queue_id=QUEUE, until=NOW + timedelta(minutes=30), assignment_no=0
    )
    late = after(OFFERED, shown, minutes=16)
    in_time = after(OFFERED, shown, minutes=14)
    assert conduct_in(late, ended("timed_out")) is None
    assert conduct_in(OFFERED, ended("timed_out")) is None
    conduct = conduct_in(in_time, ended("timed_out"))
    assert conduct is not None
    assert (conduct.operator_id, conduct.kind) == (OLGA, "timed_out")
    assert conduct_in(in_time, ended("operator_lost")) is None


def test_an_offer_of_an_earlier_life_is_taken_over() -> None:
    until = NOW + timedelta(minutes=30)
    fact = TicketOffered(offer_id=OFFER, operator_id=OLGA, queue_id=QUEUE, until=until, assignment_no=0)
    adopted = after(QUEUED, fact)
    assert adopted.holders == (OLGA,)
    assert adopted.offer is not None
    assert adopted.offer.until == until


def test_an_offer_is_withdrawn_once() -> None:
    first = withdraw_offer(OFFERED, "timed_out")
    assert first is not None
    assert withdraw_offer(first.ticket, "operator_lost") is None
    assert first.ticket.holders == (OLGA,)  # until tickets says that it ended
