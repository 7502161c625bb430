"""Given events, when one more is applied or a decision is made, then the whole ticket or fact of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.assignment_words import (
    OFFER,
    QUEUE,
    TEAM,
)
from services.tickets.tests.givens import (
    BY_OPERATOR,
    BY_SYSTEM,
    CUSTOMER,
    NOW,
    OPERATOR,
    TICKET,
    Given,
    Message,
)

from deskline_events.facts import Fact
from deskline_tickets.domain.events import (
    CustomerReplied,
    Escalated,
    OfferDeclined,
    OperatorReplied,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)
from deskline_tickets.domain.ticket import Offer, Ticket, decline_mark, evolve, replay, step_mark

pytestmark = pytest.mark.unit


LATER = NOW + timedelta(hours=1)


def then(ticket: Ticket, fact: Fact) -> Ticket:
    return evolve(ticket, fact, ticket_id=TICKET, version=ticket.version + 1, time=LATER)


def seen(ticket: Ticket, *marks: str) -> dict[str, Any]:
    return {"version": ticket.version + 1, "seen": ticket.seen | set(marks)}


def test_an_opened_ticket_in_whole(opening: TicketOpened) -> None:
    opened = evolve(None, opening, ticket_id=TICKET, version=1, time=NOW)
    assert opened == Ticket(
        id=TICKET,
        number=7,
        line_id=opening.line.line_id,
        contact_id=CUSTOMER,
        participants=frozenset({CUSTOMER}),
        version=1,
        stage="new",
        priority="medium",
        level=1,
        cycle=1,
        assignment_no=0,
        reply_token="token",
        opened_at=NOW,
        queue_id=None,
        team_id=None,
        assignee_id=None,
        offer=None,
        accepted_offer_id=None,
        holders={},
        resolved_at=None,
        closed_at=None,
        until=None,
        closing_reason=None,
        first_human_reply_at=None,
        resolutions={},
        last_speaker="customer",
        last_customer_version=1,
        deliveries={},
        seen=frozenset({opening.message.source_key}),
    )


def test_what_nobody_opened_is_no_ticket(given: Given, message: Message) -> None:
    said = CustomerReplied(contact_id=CUSTOMER, message=message(2))
    assert evolve(None, said, ticket_id=TICKET, version=1, time=NOW) is None
    assert replay([]) is None


def test_a_customer_who_wrote_was_the_last_to_speak(given: Given, message: Message) -> None:
    ticket = replace(given(), last_speaker="operator", last_customer_version=0)
    said = CustomerReplied(contact_id=CUSTOMER, message=message(2))
    marked = seen(ticket, message(2).source_key)
    assert then(ticket, said) == replace(
        ticket, last_speaker="customer", last_customer_version=ticket.version + 1, **marked
    )


def test_an_operator_who_answered_was_the_last_to_speak(given: Given) -> None:
    answer = OperatorReplied(
        reply_id=UUID(int=50), operator_id=OPERATOR, contact_id=CUSTOMER, text="x", seen_version=1
    )
    marked = seen(given(), str(UUID(int=50)))
    expected = replace(given(), last_speaker="operator", first_human_reply_at=LATER, **marked)
    assert then(given(), answer) == expected


def test_routing_an_offer_and_its_answers_in_whole(given: Given) -> None:
    ticket = given()
    routed = TicketRouted(
        queue_id=QUEUE, team_id=TEAM, actor=BY_SYSTEM, assignment_no=3, decision_id=UUID(int=90)
    )
    queued = then(ticket, routed)
    assert queued == replace(
        ticket, queue_id=QUEUE, team_id=TEAM, assignment_no=3, **seen(ticket, str(UUID(int=90)))
    )
    made = TicketOffered(
        offer_id=OFFER,
        operator_id=OPERATOR,
        queue_id=QUEUE,
        until=LATER,
        assignment_no=3,
        decision_id=UUID(int=91),
    )
    offered = then(queued, made)
    assert offered == replace(
        queued, offer=Offer(OFFER, OPERATOR, LATER), **seen(queued, str(OFFER), str(UUID(int=91)))
    )
    declined = OfferDeclined(offer_id=OFFER, operator_id=OPERATOR, assignment_no=3)
    assert then(offered, declined) == replace(
        offered, offer=None, **seen(offered, decline_mark(OFFER, OPERATOR))
    )
    taken = TicketAccepted(operator_id=OPERATOR, offer_id=OFFER, actor=BY_OPERATOR, assignment_no=4)
    accepted = then(offered, taken)
    assert accepted == replace(
        offered,
        offer=None,
        assignee_id=OPERATOR,
        accepted_offer_id=OFFER,
        assignment_no=4,
        **seen(offered),
    )
    left = TicketUnassigned(operator_id=OPERATOR, reason="given_back", actor=BY_OPERATOR, assignment_no=5)
    free = {"assignee_id": None, "accepted_offer_id": None, "assignment_no": 5, **seen(accepted)}
    assert then(accepted, left) == replace(accepted, **free)
    escalated = left.model_copy(update={"reason": "escalated"})
    held = replace(accepted, holders={2: UUID(int=33)})
    assert then(held, escalated) == replace(held, holders={2: UUID(int=33), 1: OPERATOR}, **free)
    up = Escalated(
        before=1,
        after=2,
        reason="manual",
        actor=BY_SYSTEM,
        assignment_no=6,
        contact_id=CUSTOMER,
        step_key="s",
    )
    assert then(accepted, up) == replace(accepted, level=2, assignment_no=6, **seen(accepted, step_mark("s")))


def test_marks_are_the_same_for_ever() -> None:
    assert step_mark("a/1/b/2") == "step/a/1/b/2"
    assert decline_mark(OFFER, OPERATOR) == f"declined/{OFFER}/{OPERATOR}"


def test_what_a_ticket_was_resolved_and_closed_with_stays_until_it_is_reopened(given: Given) -> None:
    def to(stage: Any, cycle: int, **more: Any) -> StageChanged:
        return StageChanged(
            before="new", after=stage, actor=BY_OPERATOR, cycle=cycle, assignment_no=8, **more
        )

    ticket = given()
    resolved = then(ticket, to("resolved", 1, closing_reason="solved"))
    assert resolved == replace(
        ticket,
        stage="resolved",
        assignment_no=8,
        resolved_at=LATER,
        resolutions={1: LATER},
        closing_reason="solved",
        **seen(ticket),
    )
    closed = evolve(resolved, to("closed", 1), ticket_id=TICKET, version=3, time=LATER + timedelta(hours=1))
    assert closed == replace(resolved, stage="closed", closed_at=LATER + timedelta(hours=1), **seen(resolved))
    reopened = then(closed, to("in_progress", 2))
    assert reopened == replace(
        closed,
        stage="in_progress",
        cycle=2,
        resolved_at=None,
        closed_at=None,
        closing_reason=None,
        **seen(closed),
    )
    waits = then(reopened, to("waiting_until", 2, until=LATER))
    assert (waits.until, waits.resolutions) == (LATER, {1: LATER})
    again = then(waits, to("resolved", 2, closing_reason="no_reply"))
    assert (again.until, again.resolutions) == (None, {1: LATER, 2: LATER})
    straight = then(ticket, to("closed", 1))
    assert (straight.resolved_at, straight.closed_at, straight.resolutions) == (None, LATER, {})
