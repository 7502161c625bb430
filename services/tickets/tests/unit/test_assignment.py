"""Given events, when people accept, decline, take, give back, reopen or queue a ticket, then events."""

from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.assignment_words import (
    OFFER,
    OTHER_QUEUE,
    QUEUE,
    accept,
    after,
    decline,
    lose,
    move,
    offer,
    refusal,
    requeue,
    route,
    then,
    unassign,
    withdraw,
)
from services.tickets.tests.givens import (
    BY_COLLEAGUE,
    BY_OPERATOR,
    BY_SYSTEM,
    COLLEAGUE,
    CUSTOMER,
    NOW,
    OPERATOR,
    STAFF,
    Given,
    Message,
    Moved,
)

from deskline_events.tickets import Actor, CustomerMessage, Stage
from deskline_tickets.domain.commands import (
    AcceptOffer,
    AddCustomerReply,
    Command,
    ReplyToCustomer,
    UnassignTicket,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    OfferDeclined,
    OfferEnded,
    OperatorReplied,
    StageChanged,
    TicketAccepted,
    TicketRouted,
    TicketUnassigned,
)
from deskline_tickets.domain.refusals import (
    NotPermitted,
    OfferGone,
    QueueUnknown,
    StaleVersion,
    TicketEnded,
    TicketUnknown,
)
from deskline_tickets.domain.ticket import Ticket

pytestmark = pytest.mark.unit


# AcceptOffer


def test_an_accepted_new_ticket_is_taken(offered: Ticket) -> None:
    assert decide(offered, accept()) == (
        TicketAccepted(operator_id=OPERATOR, offer_id=OFFER, actor=BY_OPERATOR, assignment_no=1),
        StageChanged(before="new", after="in_progress", actor=BY_OPERATOR, cycle=1, assignment_no=2),
    )
    ticket = after(offered, accept())
    assert (ticket.stage, ticket.assignee_id, ticket.offer) == ("in_progress", OPERATOR, None)


def test_an_accepted_ticket_in_progress_keeps_its_stage(given: Given, moved: Moved) -> None:
    ticket = after(given(moved("in_progress")), route(1), offer(1))
    (event,) = decide(ticket, accept())
    assert isinstance(event, TicketAccepted)
    assert event.assignment_no == 2


def test_an_offer_is_accepted_by_nobody_else_and_only_while_it_is_open(
    offered: Ticket, queued: Ticket
) -> None:
    with pytest.raises(NotPermitted):
        decide(offered, accept(BY_COLLEAGUE))
    with pytest.raises(NotPermitted):
        decide(offered, AcceptOffer(actor=BY_OPERATOR, roles=frozenset({"admin"}), offer_id=OFFER))
    for ticket in (queued, after(offered, withdraw()), after(offered, decline())):
        with pytest.raises(OfferGone) as refused:
            decide(ticket, accept())
        assert refused.value.stage == "new"
    with pytest.raises(OfferGone):
        decide(offered, accept(offer_id=UUID(int=81)))


def test_accepting_is_quiet_when_repeated(accepted: Ticket) -> None:
    assert decide(accepted, accept()) == ()
    with pytest.raises(OfferGone):
        decide(accepted, accept(BY_COLLEAGUE))
    with pytest.raises(OfferGone):
        decide(after(accepted, unassign(accepted)), accept())


# DeclineOffer


def test_a_declined_offer_is_over_and_the_ticket_is_where_it_was(offered: Ticket) -> None:
    events = decide(offered, decline())
    assert events == (OfferDeclined(offer_id=OFFER, operator_id=OPERATOR, reason="busy", assignment_no=0),)
    declined = then(offered, *events)
    assert (declined.offer, declined.assignment_no, declined.stage) == (None, 0, "new")
    assert decide(declined, decline()) == ()


def test_an_offer_is_declined_by_nobody_else_and_only_while_it_is_open(
    offered: Ticket, accepted: Ticket
) -> None:
    with pytest.raises(NotPermitted):
        decide(offered, decline(BY_COLLEAGUE))
    for ticket in (accepted, after(offered, withdraw())):
        with pytest.raises(OfferGone):
            decide(ticket, decline())
    with pytest.raises(OfferGone):
        decide(after(offered, decline()), decline(BY_COLLEAGUE))


# Taking and answering


@pytest.mark.parametrize(("by", "accepted_by"), [(BY_OPERATOR, OFFER), (BY_COLLEAGUE, None)])
def test_who_takes_a_new_ticket_has_it_by_their_offer_or_in_spite_of_anothers(
    offered: Ticket, by: Actor, accepted_by: UUID | None
) -> None:
    *ended, accepted, changed = decide(offered, move(offered, "in_progress", by))
    assert isinstance(accepted, TicketAccepted)
    assert (accepted.operator_id, accepted.offer_id) == (by.id, accepted_by)
    assert isinstance(changed, StageChanged)
    assert [type(event) for event in ended] == ([] if accepted_by else [OfferEnded])
    numbers = [event.assignment_no for event in (*ended, accepted, changed)]  # type: ignore[attr-defined]
    assert numbers == ([1, 2] if accepted_by else [0, 1, 2])


def test_who_takes_what_is_in_progress_and_nobodys_has_it_in_spite_of_anothers_offer(
    accepted: Ticket,
) -> None:
    back = after(accepted, unassign(accepted))
    ticket = after(back, offer(back.assignment_no, decision_id=UUID(int=96), offer_id=UUID(int=81)))
    ended, taken = decide(ticket, move(ticket, "in_progress", BY_COLLEAGUE))
    assert isinstance(ended, OfferEnded)
    assert taken == TicketAccepted(operator_id=COLLEAGUE, actor=BY_COLLEAGUE, assignment_no=4)
    assert decide(then(ticket, ended, taken), move(ticket, "in_progress", BY_OPERATOR)) == ()
    with pytest.raises(StaleVersion):
        decide(ticket, move(ticket, "in_progress", expected_version=1))


def test_who_answers_a_new_ticket_has_it(offered: Ticket) -> None:
    reply = ReplyToCustomer(
        actor=BY_COLLEAGUE, roles=STAFF, reply_id=UUID(int=50), text="x", seen_version=3, now=NOW
    )
    kinds = [type(event) for event in decide(offered, reply)]
    assert kinds == [OperatorReplied, OfferEnded, TicketAccepted, StageChanged]
    assert after(offered, reply).assignee_id == COLLEAGUE


def test_who_answers_a_ticket_in_progress_leaves_it_where_it_is(accepted: Ticket) -> None:
    reply = ReplyToCustomer(
        actor=BY_COLLEAGUE, roles=STAFF, reply_id=UUID(int=50), text="x", seen_version=3, now=NOW
    )
    assert [type(event) for event in decide(accepted, reply)] == [OperatorReplied]


@pytest.mark.parametrize("stage", ["resolved", "spam"])
def test_a_move_ends_the_open_offer_first(offered: Ticket, stage: Stage) -> None:
    ended, changed = decide(offered, move(offered, stage))
    assert isinstance(ended, OfferEnded)
    assert isinstance(changed, StageChanged)
    assert (ended.reason, ended.assignment_no, changed.assignment_no) == ("ticket_moved", 0, 1)


# UnassignTicket


def test_the_assignee_gives_a_ticket_back_and_it_keeps_stage_and_queue(accepted: Ticket) -> None:
    events = decide(accepted, unassign(accepted))
    assert events == (
        TicketUnassigned(operator_id=OPERATOR, reason="given_back", actor=BY_OPERATOR, assignment_no=3),
    )
    back = then(accepted, *events)
    assert (back.assignee_id, back.stage, back.queue_id) == (None, "in_progress", QUEUE)
    assert decide(back, unassign(accepted)) == ()


def test_only_who_leads_takes_a_ticket_away_from_another(accepted: Ticket) -> None:
    with pytest.raises(NotPermitted):
        decide(accepted, unassign(accepted, BY_COLLEAGUE))
    (event,) = decide(accepted, unassign(accepted, BY_COLLEAGUE, leads=True))
    assert isinstance(event, TicketUnassigned)
    assert (event.reason, event.operator_id) == ("taken_away", OPERATOR)


def test_a_ticket_is_not_given_back_on_another_version_or_when_it_is_over(accepted: Ticket) -> None:
    with pytest.raises(StaleVersion):
        decide(accepted, UnassignTicket(actor=BY_OPERATOR, roles=STAFF, leads=False, expected_version=1))
    resolved = after(accepted, move(accepted, "resolved"))
    assert resolved.assignee_id == OPERATOR
    with pytest.raises(TicketEnded):
        decide(resolved, unassign(resolved))


# Reopening


def reopenings(ticket: Ticket, message: CustomerMessage, *, keeps: bool) -> list[Command]:
    reply: dict[str, Any] = {"reply_id": UUID(int=51), "text": "x", "seen_version": 99, "now": NOW}
    return [
        AddCustomerReply(
            actor=Actor(kind="contact", id=CUSTOMER),
            contact_id=CUSTOMER,
            message=message,
            keeps_assignee=keeps,
        ),
        move(ticket, "in_progress", BY_COLLEAGUE, keeps_assignee=keeps),
        ReplyToCustomer(
            actor=BY_COLLEAGUE, roles=STAFF, then_stage="waiting_customer", keeps_assignee=keeps, **reply
        ),
    ]


def test_a_reopened_ticket_stays_with_its_assignee_only_while_they_serve_its_queue(
    accepted: Ticket, message: Message
) -> None:
    resolved = after(accepted, move(accepted, "resolved"))
    for command in reopenings(resolved, message(2), keeps=True):
        assert after(resolved, command).assignee_id == OPERATOR
    for command in reopenings(resolved, message(2), keeps=False):
        events = decide(resolved, command)
        (left,) = [event for event in events if isinstance(event, TicketUnassigned)]
        assert (left.operator_id, left.reason, left.actor) == (OPERATOR, "operator_left", BY_SYSTEM)
        reopened = next(event for event in events if isinstance(event, StageChanged))
        assert left.assignment_no == reopened.assignment_no + 1
        assert after(resolved, command).assignee_id is None


def test_what_was_only_waiting_stays_with_its_assignee_whoever_they_are_by_now(
    accepted: Ticket, message: Message
) -> None:
    waiting = after(accepted, move(accepted, "waiting_customer"))
    for command in reopenings(waiting, message(2), keeps=False):
        assert after(waiting, command).assignee_id == OPERATOR


def test_a_reopened_ticket_without_assignee_is_unassigned_from_nobody(
    given: Given, moved: Moved, message: Message
) -> None:
    for command in reopenings(given(moved("resolved")), message(2), keeps=False):
        events = decide(given(moved("resolved")), command)
        assert not [event for event in events if isinstance(event, TicketUnassigned)]


# ChangeQueue


def test_a_persons_queue_raises_the_number_and_drops_the_assignee(accepted: Ticket) -> None:
    assert decide(accepted, requeue(accepted)) == (
        TicketUnassigned(operator_id=OPERATOR, reason="queue_changed", actor=BY_COLLEAGUE, assignment_no=3),
        TicketRouted(queue_id=OTHER_QUEUE, team_id=None, actor=BY_COLLEAGUE, assignment_no=4),
    )


def test_a_persons_queue_ends_the_open_offer(offered: Ticket) -> None:
    ended, routed = decide(offered, requeue(offered))
    assert isinstance(ended, OfferEnded)
    assert ended.reason == "ticket_moved"
    assert isinstance(routed, TicketRouted)
    assert routed.assignment_no == 1
    # What routing offers for the number before is refused.
    moved_on = then(offered, ended, routed)
    assert refusal(moved_on, offer(decision_id=UUID(int=96), offer_id=UUID(int=81))).reason == "stale"


def test_a_persons_queue_is_refused_where_there_is_none_on_another_version_and_when_it_is_over(
    queued: Ticket, given: Given, moved: Moved
) -> None:
    with pytest.raises(QueueUnknown):
        decide(queued, requeue(queued, known=False))
    with pytest.raises(StaleVersion):
        decide(queued, requeue(queued, expected_version=1))
    with pytest.raises(NotPermitted):
        decide(queued, requeue(queued, roles=frozenset({"analyst"})))
    with pytest.raises(TicketEnded):
        decide(given(moved("spam")), requeue(given(moved("spam"))))


def test_a_persons_queue_is_quiet_where_the_ticket_stands_there(queued: Ticket) -> None:
    assert decide(queued, requeue(queued, QUEUE)) == ()
    after_it = after(queued, requeue(queued))
    assert decide(after_it, requeue(queued)) == ()


def test_every_command_of_assignment_needs_a_ticket(queued: Ticket) -> None:
    asked: list[Command] = [route(), offer(), withdraw(), lose(0), accept(), decline()]
    for command in [*asked, unassign(queued), requeue(queued)]:
        with pytest.raises(TicketUnknown):
            decide(None, command)
