"""What is said on a ticket: customers' messages, operators' replies and notes, and what became of a reply."""

from deskline_events.facts import Fact
from deskline_events.tickets import Actor
from deskline_tickets.domain.checks import (
    NO_REPLY_IN,
    check_text,
    permit,
    person,
    refuse_erased,
)
from deskline_tickets.domain.commands import (
    AddAutomaticMessage,
    AddCustomerReply,
    AddNote,
    OpenTicket,
    RecordDelivery,
    ReplyToCustomer,
    SetMessageAside,
)
from deskline_tickets.domain.events import (
    AutomaticMessageAdded,
    CustomerReplied,
    DeliveryChanged,
    MessageSetAside,
    NoteAdded,
    OperatorReplied,
    TicketOpened,
)
from deskline_tickets.domain.moving import make_move, move_with_reply
from deskline_tickets.domain.refusals import MissingRequirement, NotPermitted, TicketEnded
from deskline_tickets.domain.stages import CONTACT, ENDS, find_move, legal_moves
from deskline_tickets.domain.ticket import Delivery, Ticket
from deskline_tickets.domain.unfolding import Unfolding


def open_ticket(ticket: Ticket | None, command: OpenTicket) -> tuple[Fact, ...]:
    """→ TicketOpened; quiet where the ticket exists (its id is derived from the message)."""
    permit(command, "open a ticket")
    if ticket is not None:
        return ()
    refuse_erased(erased=command.erased)
    return (
        TicketOpened(
            number=command.number,
            line=command.line,
            contact_id=command.contact_id,
            customer=command.customer,
            subject=command.subject,
            message=command.message,
            priority=command.priority,
            reply_token=command.reply_token,
            link=command.link,
        ),
    )


def set_message_aside(command: SetMessageAside) -> tuple[Fact, ...]:
    """→ MessageSetAside."""
    permit(command, "set a message aside")
    if command.already:
        return ()
    return (
        MessageSetAside(
            source_key=command.source_key,
            line_id=command.line_id,
            contact_id=command.contact_id,
            received_at=command.received_at,
            reason=command.reason,
        ),
    )


def add_customer_reply(ticket: Ticket, command: AddCustomerReply) -> tuple[Fact, ...]:
    """→ CustomerReplied, and StageChanged where that ends a waiting or reopens the ticket."""
    permit(command, "reply as a customer")
    if command.contact_id not in ticket.participants:
        raise NotPermitted("reply to this ticket", ("its participants",))
    if command.message.kind != "human":
        raise MissingRequirement("human_message", "Only what a person wrote is a reply.")
    if command.message.source_key in ticket.seen:
        return ()
    if ticket.stage in ENDS:
        raise TicketEnded(ticket.stage, legal_moves(ticket.stage, CONTACT))
    refuse_erased(erased=command.erased)
    unfolding = Unfolding(ticket)
    unfolding.add(CustomerReplied(contact_id=command.contact_id, message=command.message))
    move = find_move(ticket.stage, "in_progress")
    if move is not None and not move.who.isdisjoint(CONTACT):
        contact = Actor(kind="contact", id=command.contact_id)
        make_move(unfolding, move, contact, keeps_assignee=command.keeps_assignee)
    return unfolding.facts


def add_automatic_message(ticket: Ticket, command: AddAutomaticMessage) -> tuple[Fact, ...]:
    """→ AutomaticMessageAdded, in every stage: it moves nothing, whatever it says."""
    permit(command, "add an automatic message")
    if command.message.kind == "human":
        raise MissingRequirement("automatic_message", "What a person wrote is no automatic message.")
    if command.message.source_key in ticket.seen:
        return ()
    refuse_erased(erased=command.erased)
    return (AutomaticMessageAdded(contact_id=command.contact_id, message=command.message),)


def reply_to_customer(ticket: Ticket, command: ReplyToCustomer) -> tuple[Fact, ...]:
    """→ OperatorReplied; a new ticket is taken by it; then the stage that the operator chose."""
    who = permit(command, "reply to the customer")
    operator_id = person(command.actor, "reply to the customer")
    if str(command.reply_id) in ticket.seen:
        return ()
    if ticket.stage in NO_REPLY_IN:
        raise TicketEnded(ticket.stage, legal_moves(ticket.stage, who))
    refuse_erased(erased=command.erased)
    check_text(command.text)
    unfolding = Unfolding(ticket)
    unfolding.add(
        OperatorReplied(
            reply_id=command.reply_id,
            operator_id=operator_id,
            contact_id=ticket.contact_id,
            text=command.text,
            seen_version=min(command.seen_version, ticket.version),
        )
    )
    move_with_reply(unfolding, command, who)
    return unfolding.facts


def add_note(ticket: Ticket, command: AddNote) -> tuple[Fact, ...]:
    """→ NoteAdded, in every stage."""
    permit(command, "write a note")
    operator_id = person(command.actor, "write a note")
    if str(command.note_id) in ticket.seen:
        return ()
    refuse_erased(erased=command.erased)
    check_text(command.text)
    return (
        NoteAdded(
            note_id=command.note_id,
            operator_id=operator_id,
            contact_id=ticket.contact_id,
            text=command.text,
            mentions=tuple(dict.fromkeys(command.mentions)),
        ),
    )


def record_delivery(ticket: Ticket, command: RecordDelivery) -> tuple[Fact, ...]:
    """→ DeliveryChanged, in every stage; quiet where that is known, or the reply is none of this ticket."""
    told = Delivery(command.notification_id, command.state, command.reason)
    if str(command.reply_id) not in ticket.seen or ticket.deliveries.get(command.reply_id) == told:
        return ()
    if str(command.decision_id) in ticket.seen:
        return ()
    return (
        DeliveryChanged(
            reply_id=command.reply_id,
            notification_id=command.notification_id,
            state=command.state,
            reason=command.reason,
            decision_id=command.decision_id,
        ),
    )
