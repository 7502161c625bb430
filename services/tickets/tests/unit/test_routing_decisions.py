"""Given events, when routing decides, then the fact, or DecisionRefused; each answered once."""

from typing import Any, get_args
from uuid import UUID

import pytest
from services.tickets.tests.assignment_words import (
    ASKED,
    OFFER,
    OTHER_QUEUE,
    QUEUE,
    TEAM,
    accept,
    after,
    decline,
    lose,
    move,
    offer,
    refusal,
    route,
    then,
    withdraw,
)
from services.tickets.tests.givens import BY_SYSTEM, COLLEAGUE, CUSTOMER, NOW, OPERATOR, Given, Message, Moved

from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.commands import (
    AddCustomerReply,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    CustomerReplied,
    OfferEnded,
    StageChanged,
    TicketOffered,
    TicketRouted,
    TicketUnassigned,
)
from deskline_tickets.domain.stages import OVER
from deskline_tickets.domain.ticket import Offer, Ticket

pytestmark = pytest.mark.unit


# RouteTicket


def test_a_ticket_stands_in_the_queue_that_routing_chose_under_the_same_number(given: Given) -> None:
    events = decide(given(), route())
    assert events == (
        TicketRouted(queue_id=QUEUE, team_id=TEAM, actor=BY_SYSTEM, assignment_no=0, decision_id=ASKED),
    )
    ticket = then(given(), *events)
    assert (ticket.queue_id, ticket.team_id, ticket.assignment_no) == (QUEUE, TEAM, 0)


def test_routing_is_quiet_when_repeated_and_may_decide_anew(queued: Ticket) -> None:
    assert decide(queued, route()) == ()
    assert [type(event) for event in decide(queued, route(asked=UUID(int=95)))] == [TicketRouted]


def test_a_queue_is_refused_for_another_number_an_open_offer_and_a_ticket_that_is_over(
    given: Given, moved: Moved, offered: Ticket
) -> None:
    stale = refusal(given(), route(1))
    assert (stale.decision, stale.decision_id, stale.reason) == ("queue", ASKED, "stale")
    assert refusal(offered, route(asked=UUID(int=95))).reason == "offered"
    for stage in OVER:
        assert refusal(given(moved(stage)), route(1)).reason == "ended"


def test_a_taken_ticket_that_was_never_queued_gets_its_queue(given: Given) -> None:
    taken = after(given(), move(given(), "in_progress"))
    ticket = after(taken, route(taken.assignment_no))
    assert (ticket.queue_id, ticket.assignee_id) == (QUEUE, OPERATOR)


# OfferTicket


def test_a_ticket_is_offered_under_the_same_number(queued: Ticket) -> None:
    (event,) = decide(queued, offer())
    assert event == TicketOffered(
        offer_id=OFFER,
        operator_id=OPERATOR,
        queue_id=QUEUE,
        until=NOW,
        assignment_no=0,
        decision_id=UUID(int=91),
    )
    assert then(queued, event).offer == Offer(OFFER, OPERATOR, NOW)
    assert then(queued, event).assignment_no == 0


def test_an_offer_is_quiet_when_repeated_even_after_its_answer(offered: Ticket) -> None:
    assert decide(offered, offer()) == ()
    declined = after(offered, decline())
    assert decide(declined, offer()) == ()
    assert decide(declined, offer(decision_id=UUID(int=96))) == ()


def test_an_offer_is_refused_where_what_it_rests_on_is_gone(
    given: Given, moved: Moved, queued: Ticket, offered: Ticket, accepted: Ticket
) -> None:
    another: dict[str, Any] = {"decision_id": UUID(int=96), "offer_id": UUID(int=81)}
    event = refusal(queued, offer(1, **another))
    assert (event.decision, event.offer_id, event.reason) == ("offer", UUID(int=81), "stale")
    assert refusal(offered, offer(**another)).reason == "offered"
    assert refusal(accepted, offer(accepted.assignment_no, **another)).reason == "assigned"
    assert refusal(queued, offer(queue_id=OTHER_QUEUE)).reason == "other_queue"
    assert refusal(given(moved("closed")), offer(1)).reason == "ended"


def test_fifty_quick_lines_of_a_chat_leave_the_offer_as_it_is(offered: Ticket, message: Message) -> None:
    contact = Actor(kind="contact", id=CUSTOMER)
    ticket = offered
    for number in range(2, 52):
        said = AddCustomerReply(actor=contact, contact_id=CUSTOMER, message=message(number))
        events = decide(ticket, said)
        assert [type(event) for event in events] == [CustomerReplied]
        ticket = then(ticket, *events)
    assert (ticket.version, ticket.assignment_no, ticket.offer) == (offered.version + 50, 0, offered.offer)
    assert after(ticket, accept()).assignee_id == OPERATOR


def test_a_line_that_ends_a_waiting_ends_the_offer_too(given: Given, moved: Moved, message: Message) -> None:
    waiting = after(given(moved("waiting_customer")), route(1), offer(1))
    said = AddCustomerReply(actor=Actor(kind="contact", id=CUSTOMER), contact_id=CUSTOMER, message=message(2))
    replied, ended, changed = decide(waiting, said)
    assert isinstance(replied, CustomerReplied)
    assert ended == OfferEnded(offer_id=OFFER, operator_id=OPERATOR, reason="ticket_moved", assignment_no=1)
    assert isinstance(changed, StageChanged)
    assert changed.assignment_no == 2


# EndOffer


@pytest.mark.parametrize("reason", ["timed_out", "operator_lost", "operator_left"])
def test_a_withdrawn_offer_ends(offered: Ticket, reason: Any) -> None:
    (event,) = decide(offered, withdraw(reason=reason))
    assert isinstance(event, OfferEnded)
    assert (event.offer_id, event.operator_id, event.reason, event.assignment_no) == (
        OFFER,
        OPERATOR,
        reason,
        0,
    )
    ended = then(offered, event)
    assert (ended.offer, ended.assignment_no) == (None, 0)
    assert decide(ended, withdraw(reason=reason)) == ()


def test_a_withdrawal_is_refused_where_the_answer_was_first(
    offered: Ticket, accepted: Ticket, queued: Ticket
) -> None:
    event = refusal(accepted, withdraw())
    assert (event.decision, event.offer_id, event.reason) == ("withdrawal", OFFER, "accepted")
    assert event.assignee_id == OPERATOR
    assert refusal(after(offered, decline()), withdraw()).reason == "not_open"
    assert refusal(queued, withdraw()).reason == "not_open"
    assert refusal(offered, withdraw(offer_id=UUID(int=81))).reason == "not_open"


# EndAssignment


def test_a_lost_assignee_has_the_ticket_no_longer(accepted: Ticket) -> None:
    (event,) = decide(accepted, lose(accepted.assignment_no))
    assert isinstance(event, TicketUnassigned)
    assert (event.reason, event.actor, event.assignment_no) == ("operator_left", BY_SYSTEM, 3)
    assert decide(then(accepted, event), lose(accepted.assignment_no)) == ()


def test_a_loss_is_refused_where_it_is_no_longer_so(accepted: Ticket, queued: Ticket) -> None:
    event = refusal(accepted, lose(1))
    assert (event.decision, event.reason) == ("unassignment", "stale")
    assert refusal(queued, lose(0)).reason == "not_assigned"
    assert refusal(accepted, lose(accepted.assignment_no, operator_id=COLLEAGUE)).reason == "not_assigned"
    resolved = after(accepted, move(accepted, "resolved"))
    assert refusal(resolved, lose(resolved.assignment_no)).reason == "ended"


def test_a_ticket_that_is_over_is_every_stage_but_these() -> None:
    open_stages = {"new", "in_progress", "waiting_customer", "waiting_third_party", "waiting_until"}
    assert set(get_args(Stage)) - OVER == open_stages
