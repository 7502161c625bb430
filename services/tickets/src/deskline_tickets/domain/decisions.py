"""What a ticket answers to a command: the events that follow, none where it is done already, or a Refusal."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from deskline_events.facts import MAX_TEXT_BYTES, Fact
from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.commands import (
    AddAutomaticMessage,
    AddCustomerReply,
    AddNote,
    ChangePriority,
    ChangeStage,
    Command,
    OpenTicket,
    ReplyToCustomer,
    SetMessageAside,
)
from deskline_tickets.domain.events import (
    AutomaticMessageAdded,
    CustomerReplied,
    MessageSetAside,
    NoteAdded,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
    TicketOpened,
)
from deskline_tickets.domain.refusals import (
    IllegalMove,
    MissingRequirement,
    NotPermitted,
    PersonErased,
    StaleVersion,
    TextTooLong,
    TicketEnded,
    TicketUnknown,
)
from deskline_tickets.domain.stages import (
    CONTACT,
    ENDS,
    STAFF,
    SYSTEM,
    WAITING,
    Move,
    Who,
    find_move,
    legal_moves,
    standing,
)
from deskline_tickets.domain.ticket import Ticket, evolve

# ChangeStage is not here: the table of transitions says it move by move.
MAY: Final[Mapping[type, frozenset[Who]]] = {
    OpenTicket: CONTACT | SYSTEM,
    AddCustomerReply: CONTACT,
    AddAutomaticMessage: CONTACT | SYSTEM,
    SetMessageAside: SYSTEM,
    ReplyToCustomer: STAFF,
    AddNote: STAFF,
    ChangePriority: STAFF | SYSTEM,
}
NO_REPLY_IN: Final[frozenset[Stage]] = ENDS | {"closed"}


def decide(ticket: Ticket | None, command: Command) -> tuple[Fact, ...]:
    """The events that a command leads to, in order; empty where it changes nothing; raises Refusal."""
    match command:
        case OpenTicket():
            return open_ticket(ticket, command)
        case SetMessageAside():
            return set_message_aside(command)
        case _ if ticket is None:
            raise TicketUnknown
        case AddCustomerReply() | AddAutomaticMessage():
            return _take_in(ticket, command)
        case _:
            return _work_on(ticket, command)


def _take_in(ticket: Ticket, command: AddCustomerReply | AddAutomaticMessage) -> tuple[Fact, ...]:
    if isinstance(command, AddCustomerReply):
        return add_customer_reply(ticket, command)
    return add_automatic_message(ticket, command)


def _work_on(
    ticket: Ticket, command: ReplyToCustomer | AddNote | ChangeStage | ChangePriority
) -> tuple[Fact, ...]:
    match command:
        case ReplyToCustomer():
            return reply_to_customer(ticket, command)
        case AddNote():
            return add_note(ticket, command)
        case ChangeStage():
            return change_stage(ticket, command)
        case ChangePriority():
            return change_priority(ticket, command)


def open_ticket(ticket: Ticket | None, command: OpenTicket) -> tuple[Fact, ...]:
    """→ TicketOpened; quiet where the ticket exists (its id is derived from the message)."""
    _permit(command, command.actor, "open a ticket")
    if ticket is not None:
        return ()
    _refuse_erased(erased=command.erased)
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
    _permit(command, command.actor, "set a message aside")
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
    _permit(command, command.actor, "reply as a customer")
    if command.contact_id not in ticket.participants:
        raise NotPermitted("reply to this ticket", ("its participants",))
    if command.message.kind != "human":
        raise MissingRequirement("human_message", "Only what a person wrote is a reply.")
    if command.message.source_key in ticket.seen:
        return ()
    if ticket.stage in ENDS:
        raise TicketEnded(ticket.stage, legal_moves(ticket.stage, CONTACT))
    _refuse_erased(erased=command.erased)
    replied = CustomerReplied(contact_id=command.contact_id, message=command.message)
    move = find_move(ticket.stage, "in_progress")
    if move is None or move.who.isdisjoint(CONTACT):
        return (replied,)
    return (replied, _moved(ticket, move, Actor(kind="contact", id=command.contact_id)))


def add_automatic_message(ticket: Ticket, command: AddAutomaticMessage) -> tuple[Fact, ...]:
    """→ AutomaticMessageAdded, in every stage: it moves nothing, whatever it says."""
    _permit(command, command.actor, "add an automatic message")
    if command.message.kind == "human":
        raise MissingRequirement("automatic_message", "What a person wrote is no automatic message.")
    if command.message.source_key in ticket.seen:
        return ()
    _refuse_erased(erased=command.erased)
    return (AutomaticMessageAdded(contact_id=command.contact_id, message=command.message),)


def reply_to_customer(ticket: Ticket, command: ReplyToCustomer) -> tuple[Fact, ...]:
    """→ OperatorReplied; a new ticket is taken by it; then the stage that the operator chose."""
    who = _permit(command, command.actor, "reply to the customer", command.roles)
    operator_id = _person(command.actor, "reply to the customer")
    if str(command.reply_id) in ticket.seen:
        return ()
    if ticket.stage in NO_REPLY_IN:
        raise TicketEnded(ticket.stage, legal_moves(ticket.stage, who))
    _refuse_erased(erased=command.erased)
    _check_text(command.text)
    replied = OperatorReplied(
        reply_id=command.reply_id,
        operator_id=operator_id,
        contact_id=ticket.contact_id,
        text=command.text,
        seen_version=min(command.seen_version, ticket.version),
    )
    return (replied, *_moves_with_reply(ticket, command, who))


def add_note(ticket: Ticket, command: AddNote) -> tuple[Fact, ...]:
    """→ NoteAdded, in every stage."""
    _permit(command, command.actor, "write a note", command.roles)
    operator_id = _person(command.actor, "write a note")
    if str(command.note_id) in ticket.seen:
        return ()
    _refuse_erased(erased=command.erased)
    _check_text(command.text)
    return (
        NoteAdded(
            note_id=command.note_id,
            operator_id=operator_id,
            contact_id=ticket.contact_id,
            text=command.text,
            mentions=tuple(dict.fromkeys(command.mentions)),
        ),
    )


def change_stage(ticket: Ticket, command: ChangeStage) -> tuple[Fact, ...]:
    """→ StageChanged; quiet where the ticket is there already, with the same reason or time."""
    who = standing(command.actor, command.roles)
    stranger = command.actor.kind == "contact" and command.actor.id not in ticket.participants
    if not who or stranger:
        raise NotPermitted("move this ticket", ("operator", "lead", "its participants"))
    if _is_there(ticket, command):
        return ()
    _refuse_stale(ticket, command.expected_version)
    move = _find_legal(ticket.stage, command.stage, who)
    _check_needs(move, command)
    return (_moved(ticket, move, command.actor, command),)


def change_priority(ticket: Ticket, command: ChangePriority) -> tuple[Fact, ...]:
    """→ PriorityChanged; quiet where that is the priority already."""
    who = _permit(command, command.actor, "change the priority", command.roles)
    if command.priority == ticket.priority:
        return ()
    _refuse_stale(ticket, command.expected_version)
    if ticket.stage in NO_REPLY_IN:
        raise TicketEnded(ticket.stage, legal_moves(ticket.stage, who))
    return (PriorityChanged(before=ticket.priority, after=command.priority, actor=command.actor),)


def _moves_with_reply(
    ticket: Ticket, command: ReplyToCustomer, who: frozenset[Who]
) -> tuple[StageChanged, ...]:
    # Who answers a new ticket has taken it. A move that the customer's newer words contradict waits.
    wanted = command.then_stage if ticket.last_customer_version <= command.seen_version else None
    moves: list[StageChanged] = []
    # From one kind of waiting to another, or from resolved to waiting, leads through in_progress.
    through = wanted in WAITING and ticket.stage != "in_progress" and not _is_there(ticket, command)
    if ticket.stage == "new" or through:
        taken = _moved(ticket, _find_legal(ticket.stage, "in_progress", who), command.actor)
        moves.append(taken)
        ticket = evolve(ticket, taken, ticket_id=ticket.id, version=ticket.version + 1, time=command.now)
    if wanted is not None and not _is_there(ticket, command):
        move = _find_legal(ticket.stage, wanted, who)
        _check_needs(move, command)
        moves.append(_moved(ticket, move, command.actor, command))
    return tuple(moves)


def _moved(
    ticket: Ticket, move: Move, actor: Actor, command: ChangeStage | ReplyToCustomer | None = None
) -> StageChanged:
    return StageChanged(
        before=move.before,
        after=move.after,
        actor=actor,
        cycle=ticket.cycle + move.reopens,
        assignment_no=ticket.assignment_no + 1,
        closing_reason=command.closing_reason if command and move.needs == "closing_reason" else None,
        until=command.until if command and move.needs == "until" else None,
    )


def _is_there(ticket: Ticket, command: ChangeStage | ReplyToCustomer) -> bool:
    stage = command.stage if isinstance(command, ChangeStage) else command.then_stage
    if stage != ticket.stage:
        return False
    if stage == "waiting_until":
        return command.until == ticket.until
    return stage != "resolved" or command.closing_reason == ticket.closing_reason


def _find_legal(stage: Stage, wanted: Stage, who: frozenset[Who]) -> Move:
    move = find_move(stage, wanted)
    if move is None:
        raise IllegalMove(stage, wanted, legal_moves(stage, who))
    if move.who.isdisjoint(who):
        raise NotPermitted(f"move a ticket from {stage} to {wanted}", tuple(sorted(move.who)))
    return move


def _check_needs(move: Move, command: ChangeStage | ReplyToCustomer) -> None:
    if move.needs == "closing_reason" and not command.closing_reason:
        raise MissingRequirement("closing_reason", f"To make it {move.after}, give a closing reason.")
    if move.needs == "until" and not _is_later(command.until, command.now):
        raise MissingRequirement("until", "To wait, say until when: a time to come, with its zone.")


def _is_later(until: datetime | None, now: datetime) -> bool:
    return until is not None and until.tzinfo is not None and until > now


def _permit(
    command: Command, actor: Actor, action: str, roles: frozenset[str] = frozenset()
) -> frozenset[Who]:
    who = standing(actor, roles)
    if who.isdisjoint(MAY[type(command)]):
        raise NotPermitted(action, tuple(sorted(MAY[type(command)])))
    return who


def _person(actor: Actor, action: str) -> UUID:
    if actor.id is None:
        raise NotPermitted(action, ("an operator by id",))
    return actor.id


def _refuse_stale(ticket: Ticket, expected: int | None) -> None:
    if expected is not None and expected != ticket.version:
        raise StaleVersion(ticket.version)


def _refuse_erased(*, erased: bool) -> None:
    if erased:
        raise PersonErased


def _check_text(text: str) -> None:
    if not text.strip():
        raise MissingRequirement("text", "Write something first.")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise TextTooLong(MAX_TEXT_BYTES)
