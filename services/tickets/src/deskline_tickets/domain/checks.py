"""What several decisions ask first: may this actor, is the version current, is the text fit to be kept."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from deskline_events.facts import MAX_TEXT_BYTES
from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.commands import (
    AcceptOffer,
    AddAutomaticMessage,
    AddCustomerReply,
    AddNote,
    ChangePriority,
    ChangeQueue,
    DeclineOffer,
    EscalateTicket,
    FromMessage,
    FromPerson,
    OpenTicket,
    ReplyToCustomer,
    SetMessageAside,
    UnassignTicket,
)
from deskline_tickets.domain.refusals import (
    MissingRequirement,
    NotPermitted,
    PersonErased,
    StaleVersion,
    TextTooLong,
    TicketEnded,
)
from deskline_tickets.domain.stages import CONTACT, ENDS, OVER, STAFF, SYSTEM, Who, legal_moves, standing
from deskline_tickets.domain.ticket import Ticket

# ChangeStage is not here: the table of transitions says it move by move.
MAY: Final[Mapping[type, frozenset[Who]]] = {
    OpenTicket: CONTACT | SYSTEM,
    AddCustomerReply: CONTACT,
    AddAutomaticMessage: CONTACT | SYSTEM,
    SetMessageAside: SYSTEM,
    ReplyToCustomer: STAFF,
    AddNote: STAFF,
    ChangePriority: STAFF | SYSTEM,
    ChangeQueue: STAFF,
    AcceptOffer: STAFF,
    DeclineOffer: STAFF,
    UnassignTicket: STAFF,
    EscalateTicket: STAFF,
}
NO_REPLY_IN: Final[frozenset[Stage]] = ENDS | {"closed"}


def permit(command: FromPerson | FromMessage, action: str) -> frozenset[Who]:
    """As whom the command's actor counts; raises NotPermitted."""
    who = standing(command.actor, getattr(command, "roles", frozenset()))
    if who.isdisjoint(MAY[type(command)]):
        raise NotPermitted(action, tuple(sorted(MAY[type(command)])))
    return who


def person(actor: Actor, action: str) -> UUID:
    """The operator who acts; raises NotPermitted where they have no id."""
    if actor.id is None:
        raise NotPermitted(action, ("an operator by id",))
    return actor.id


def refuse_stale(ticket: Ticket, expected: int | None) -> None:
    """Raises StaleVersion where the command rests on another version."""
    if expected is not None and expected != ticket.version:
        raise StaleVersion(ticket.version)


def refuse_over(ticket: Ticket, who: frozenset[Who]) -> None:
    """Raises TicketEnded where nobody works on the ticket."""
    if ticket.stage in OVER:
        raise TicketEnded(ticket.stage, legal_moves(ticket.stage, who))


def refuse_erased(*, erased: bool) -> None:
    """Raises PersonErased."""
    if erased:
        raise PersonErased


def check_text(text: str) -> None:
    """Raises MissingRequirement, TextTooLong."""
    if not text.strip():
        raise MissingRequirement("text", "Write something first.")
    check_size(text)


def check_size(*texts: str | None) -> None:
    """Raises TextTooLong where they are longer together than an event may carry."""
    if sum(len((text or "").encode("utf-8", "surrogatepass")) for text in texts) > MAX_TEXT_BYTES:
        raise TextTooLong(MAX_TEXT_BYTES)
