"""What a ticket answers to a command: the events that follow, none where it is done already, or a Refusal."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from deskline_events.facts import Fact
from deskline_tickets.domain import assigning, conversation, escalating, moving
from deskline_tickets.domain.commands import (
    AcceptOffer,
    AddAutomaticMessage,
    AddCustomerReply,
    AddNote,
    ChangePriority,
    ChangeQueue,
    ChangeStage,
    Command,
    DeclineOffer,
    EndAssignment,
    EndOffer,
    EscalateTicket,
    OfferTicket,
    OpenTicket,
    RecordDelivery,
    ReplyToCustomer,
    RouteTicket,
    SetMessageAside,
    TakeStep,
    UnassignTicket,
)
from deskline_tickets.domain.refusals import TicketUnknown
from deskline_tickets.domain.ticket import Ticket

_ON_A_TICKET: Final[Mapping[type, Callable[[Ticket, Any], tuple[Fact, ...]]]] = {
    AddCustomerReply: conversation.add_customer_reply,
    AddAutomaticMessage: conversation.add_automatic_message,
    ReplyToCustomer: conversation.reply_to_customer,
    AddNote: conversation.add_note,
    RecordDelivery: conversation.record_delivery,
    ChangeStage: moving.change_stage,
    ChangePriority: moving.change_priority,
    ChangeQueue: assigning.change_queue,
    AcceptOffer: assigning.accept_offer,
    DeclineOffer: assigning.decline_offer,
    UnassignTicket: assigning.unassign_ticket,
    RouteTicket: assigning.route_ticket,
    OfferTicket: assigning.offer_ticket,
    EndOffer: assigning.end_offer,
    EndAssignment: assigning.end_assignment,
    EscalateTicket: escalating.escalate_ticket,
    TakeStep: escalating.take_step,
}


def decide(ticket: Ticket | None, command: Command) -> tuple[Fact, ...]:
    """The events that a command leads to, in order; empty where it changes nothing; raises Refusal."""
    match command:
        case OpenTicket():
            return conversation.open_ticket(ticket, command)
        case SetMessageAside():
            return conversation.set_message_aside(command)
    if ticket is None:
        raise TicketUnknown
    return _ON_A_TICKET[type(command)](ticket, command)
