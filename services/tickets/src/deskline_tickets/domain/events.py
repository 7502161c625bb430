"""What is stored of a ticket: private events, of which `publisher.py` makes the public ones."""

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Code, Customer, Fact, Line, Priority
from deskline_events.personal import Personal
from deskline_events.tickets import Actor, CustomerMessage, Link, Stage


class TicketOpened(Fact):
    """A ticket exists; its stage is `new`, its cycle 1."""

    TYPE: ClassVar[str] = "TicketOpened.v1"

    number: Annotated[int, Field(ge=1)]
    line: Line
    contact_id: UUID
    customer: Customer
    subject: Annotated[str, Personal("contact_id")]
    message: CustomerMessage
    priority: Priority
    level: Annotated[int, Field(ge=1, le=3)] = 1
    reply_token: Annotated[str, Field(max_length=100)]
    link: Link | None = None


class CustomerReplied(Fact):
    """A person wrote again; where that moved the ticket a StageChanged follows."""

    TYPE: ClassVar[str] = "CustomerReplied.v1"

    contact_id: UUID
    message: CustomerMessage


class AutomaticMessageAdded(Fact):
    """A machine's mail on the ticket; it moves nothing."""

    TYPE: ClassVar[str] = "AutomaticMessageAdded.v1"

    contact_id: UUID
    message: CustomerMessage


class MessageSetAside(Fact):
    """A message that makes no ticket; in a stream of its own, derived from its source key."""

    TYPE: ClassVar[str] = "MessageSetAside.v1"

    source_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    line_id: UUID
    contact_id: UUID
    received_at: datetime
    reason: Literal["bounce", "list", "own_loop", "person_erased"]


class OperatorReplied(Fact):
    """An operator's public answer, under the key of the ticket's contact."""

    TYPE: ClassVar[str] = "OperatorReplied.v1"

    reply_id: UUID
    operator_id: UUID
    contact_id: UUID
    text: Annotated[str, Personal("contact_id")]
    seen_version: Annotated[int, Field(ge=1)]


class NoteAdded(Fact):
    """An internal note with its text, which stays here; under the key of the ticket's contact."""

    TYPE: ClassVar[str] = "NoteAdded.v1"

    note_id: UUID
    operator_id: UUID
    contact_id: UUID
    text: Annotated[str, Personal("contact_id")]
    mentions: tuple[UUID, ...] = ()


class StageChanged(Fact):
    """The ticket moved by the table of transitions."""

    TYPE: ClassVar[str] = "StageChanged.v1"

    before: Stage
    after: Stage
    actor: Actor
    cycle: Annotated[int, Field(ge=1)]
    assignment_no: Annotated[int, Field(ge=0)]
    closing_reason: Code | None = None
    until: datetime | None = None


class PriorityChanged(Fact):
    """The ticket's priority changed."""

    TYPE: ClassVar[str] = "PriorityChanged.v1"

    before: Priority
    after: Priority
    actor: Actor


STORED: Final[dict[str, type[Fact]]] = {
    model.TYPE: model
    for model in (
        TicketOpened,
        CustomerReplied,
        AutomaticMessageAdded,
        MessageSetAside,
        OperatorReplied,
        NoteAdded,
        StageChanged,
        PriorityChanged,
    )
}
