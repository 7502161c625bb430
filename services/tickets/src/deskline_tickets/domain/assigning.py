"""In which queue a ticket stands, to whom it is offered, who has it: routing's decisions and people's.

A decision of routing names the offer or the `assignment_no` that it rests on. It is answered by the fact,
or by DecisionRefused with a reason and what holds instead, and only once.
"""

from typing import Final, Literal
from uuid import UUID

from deskline_events.facts import Fact
from deskline_events.tickets import Actor
from deskline_tickets.domain.checks import permit, person, refuse_over, refuse_stale
from deskline_tickets.domain.commands import (
    AcceptOffer,
    ChangeQueue,
    DeclineOffer,
    EndAssignment,
    EndOffer,
    OfferTicket,
    RouteTicket,
    UnassignTicket,
)
from deskline_tickets.domain.events import (
    DecisionRefused,
    OfferDeclined,
    OfferEnded,
    TicketOffered,
    TicketRouted,
)
from deskline_tickets.domain.moving import make_move
from deskline_tickets.domain.refusals import NotPermitted, OfferGone, QueueUnknown
from deskline_tickets.domain.stages import OVER, find_move
from deskline_tickets.domain.ticket import Offer, Ticket, decline_mark
from deskline_tickets.domain.unfolding import Unfolding

SYSTEM_ACTOR: Final = Actor(kind="system")
Decision = Literal["queue", "offer", "withdrawal", "unassignment", "step"]


def route_ticket(ticket: Ticket, command: RouteTicket) -> tuple[Fact, ...]:
    """→ TicketRouted, which leaves `assignment_no` as it is."""
    if str(command.decision_id) in ticket.seen:
        return ()
    reason = _outdated(ticket, command.assignment_no)
    if reason is None and ticket.offer is not None:
        reason = "offered"
    if reason is not None:
        return (refused(ticket, "queue", command.decision_id, reason),)
    return (
        TicketRouted(
            queue_id=command.queue_id,
            team_id=command.team_id,
            actor=SYSTEM_ACTOR,
            assignment_no=ticket.assignment_no,
            decision_id=command.decision_id,
        ),
    )


def offer_ticket(ticket: Ticket, command: OfferTicket) -> tuple[Fact, ...]:
    """→ TicketOffered, which leaves `assignment_no` as it is; `until` in the past is routing's business."""
    if not ticket.seen.isdisjoint({str(command.decision_id), str(command.offer_id)}):
        return ()
    reason = _outdated(ticket, command.assignment_no)
    if ticket.assignee_id is not None:
        reason = "assigned"
    elif reason is None and ticket.offer is not None:
        reason = "offered"
    elif reason is None and ticket.queue_id != command.queue_id:
        reason = "other_queue"
    if reason is not None:
        return (refused(ticket, "offer", command.decision_id, reason, offer_id=command.offer_id),)
    return (
        TicketOffered(
            offer_id=command.offer_id,
            operator_id=command.operator_id,
            queue_id=command.queue_id,
            until=command.until,
            assignment_no=ticket.assignment_no,
            decision_id=command.decision_id,
        ),
    )


def end_offer(ticket: Ticket, command: EndOffer) -> tuple[Fact, ...]:
    """→ OfferEnded; refused where the operator's answer, or a move, was first."""
    if str(command.decision_id) in ticket.seen:
        return ()
    if ticket.offer is None or ticket.offer.offer_id != command.offer_id:
        reason = "accepted" if ticket.accepted_offer_id == command.offer_id else "not_open"
        return (refused(ticket, "withdrawal", command.decision_id, reason, offer_id=command.offer_id),)
    return (
        OfferEnded(
            offer_id=command.offer_id,
            operator_id=ticket.offer.operator_id,
            reason=command.reason,
            assignment_no=ticket.assignment_no,
            decision_id=command.decision_id,
        ),
    )


def end_assignment(ticket: Ticket, command: EndAssignment) -> tuple[Fact, ...]:
    """→ TicketUnassigned."""
    if str(command.decision_id) in ticket.seen:
        return ()
    reason = _outdated(ticket, command.assignment_no)
    if ticket.assignee_id != command.operator_id:
        reason = "not_assigned"
    if reason is not None:
        return (refused(ticket, "unassignment", command.decision_id, reason),)
    unfolding = Unfolding(ticket)
    unfolding.unassign(command.reason, SYSTEM_ACTOR, command.decision_id)
    return unfolding.facts


def change_queue(ticket: Ticket, command: ChangeQueue) -> tuple[Fact, ...]:
    """→ TicketRouted, which raises `assignment_no`; before it the offer and the assignee go."""
    who = permit(command, "put the ticket into another queue")
    if command.queue_id == ticket.queue_id:
        return ()
    refuse_stale(ticket, command.expected_version)
    refuse_over(ticket, who)
    if not command.known:
        raise QueueUnknown
    unfolding = Unfolding(ticket)
    unfolding.end_offer()
    unfolding.unassign("queue_changed", command.actor)
    unfolding.add(
        TicketRouted(
            queue_id=command.queue_id,
            team_id=command.team_id,
            actor=command.actor,
            assignment_no=unfolding.next_no,
        )
    )
    return unfolding.facts


def accept_offer(ticket: Ticket, command: AcceptOffer) -> tuple[Fact, ...]:
    """→ TicketAccepted, and StageChanged where the ticket was new; quiet where they have it by that offer."""
    permit(command, "accept the ticket")
    operator_id = person(command.actor, "accept the ticket")
    if (ticket.assignee_id, ticket.accepted_offer_id) == (operator_id, command.offer_id):
        return ()
    _own_offer(ticket, command.offer_id, operator_id)
    unfolding = Unfolding(ticket)
    taking = find_move("new", "in_progress")
    if ticket.stage == "new" and taking is not None:
        make_move(unfolding, taking, command.actor, keeps_assignee=True)
    else:
        unfolding.assign(operator_id, command.actor)
    return unfolding.facts


def decline_offer(ticket: Ticket, command: DeclineOffer) -> tuple[Fact, ...]:
    """→ OfferDeclined; quiet where they declined that offer before."""
    permit(command, "decline the ticket")
    operator_id = person(command.actor, "decline the ticket")
    if decline_mark(command.offer_id, operator_id) in ticket.seen:
        return ()
    offer = _own_offer(ticket, command.offer_id, operator_id)
    return (
        OfferDeclined(
            offer_id=offer.offer_id,
            operator_id=operator_id,
            reason=command.reason,
            assignment_no=ticket.assignment_no,
        ),
    )


def unassign_ticket(ticket: Ticket, command: UnassignTicket) -> tuple[Fact, ...]:
    """→ TicketUnassigned; quiet where nobody has it."""
    who = permit(command, "give the ticket back")
    operator_id = person(command.actor, "give the ticket back")
    if ticket.assignee_id is None:
        return ()
    own = ticket.assignee_id == operator_id
    if not own and not command.leads:
        raise NotPermitted("give this ticket back", ("its assignee", "a lead of its team"))
    refuse_stale(ticket, command.expected_version)
    refuse_over(ticket, who)
    unfolding = Unfolding(ticket)
    unfolding.unassign("given_back" if own else "taken_away", command.actor)
    return unfolding.facts


def refused(
    ticket: Ticket,
    decision: Decision,
    decision_id: UUID,
    reason: str,
    *,
    offer_id: UUID | None = None,
    step_key: str | None = None,
) -> DecisionRefused:
    """The answer to a decision that rests on what is no longer so."""
    return DecisionRefused(
        decision=decision,
        decision_id=decision_id,
        offer_id=offer_id,
        reason=reason,
        stage=ticket.stage,
        assignee_id=ticket.assignee_id,
        assignment_no=ticket.assignment_no,
        step_key=step_key,
    )


def _outdated(ticket: Ticket, assignment_no: int) -> str | None:
    if ticket.stage in OVER:
        return "ended"
    return None if assignment_no == ticket.assignment_no else "stale"


def _own_offer(ticket: Ticket, offer_id: UUID, operator_id: UUID) -> Offer:
    offer = ticket.offer
    if offer is None or offer.offer_id != offer_id:
        raise OfferGone(ticket.stage)
    if offer.operator_id != operator_id:
        raise NotPermitted("answer this offer", ("the operator to whom it was made",))
    return offer
