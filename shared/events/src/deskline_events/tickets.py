"""Events that tickets announces; the stream is the ticket's id and the sequence its version."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Attachment, Customer, Fact, Line, StoredObject, Value
from deskline_events.intake import MessageKind
from deskline_events.personal import Personal

Stage = Literal[
    "new",
    "in_progress",
    "waiting_customer",
    "waiting_third_party",
    "waiting_until",
    "resolved",
    "closed",
    "merged",
    "spam",
    "abandoned",
]
Priority = Literal["low", "medium", "high", "critical"]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Actor(Value):
    """Who did it: an operator or a contact by id, or the system itself (no id)."""

    kind: Literal["operator", "contact", "system"]
    id: UUID | None = None


class CustomerMessage(Value):
    """What a customer wrote; its texts are under the key of the event's `contact_id`."""

    source_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    received_at: datetime
    kind: MessageKind
    suppress_auto_reply: bool = False
    text: Annotated[str, Personal("contact_id"), Field(description="whole text, or its excerpt")]
    reply: Annotated[
        str | None, Personal("contact_id"), Field(description="text without quotes; null: same as text")
    ] = None
    text_object: StoredObject | None = None
    message_id: Annotated[
        str | None,
        Personal("contact_id"),
        Field(description="RFC 5322 Message-ID without its angle brackets"),
    ] = None
    attachments: tuple[Attachment, ...] = ()
    raw: StoredObject | None = None
    problems: tuple[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")], ...] = ()


class Link(Value):
    """What another ticket is to this one."""

    kind: Literal["follow_up_of", "suspected_reply_to"]
    ticket_id: UUID


class TicketOpened(Fact):
    """A ticket exists; it is in stage `new` at level 1, cycle 1."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketOpened.v1"

    number: Annotated[int, Field(ge=1, description="for people; unique, not dense")]
    line: Line
    contact_id: UUID
    customer: Customer
    subject: Annotated[str, Personal("contact_id")]
    message: CustomerMessage
    priority: Priority
    level: Annotated[int, Field(ge=1, le=3)] = 1
    reply_token: Annotated[str, Field(max_length=100, description="for the plus-address of our mails")]
    link: Link | None = None


class CustomerReplied(Fact):
    """A person wrote again; where that reopened the ticket a StageChanged follows."""

    TYPE: ClassVar[str] = "deskline.tickets.CustomerReplied.v1"

    contact_id: Annotated[UUID, Field(description="the sender, a participant of the ticket")]
    message: CustomerMessage


class AutomaticMessageAdded(Fact):
    """A machine's mail on the ticket; it reopens nothing and starts no clock."""

    TYPE: ClassVar[str] = "deskline.tickets.AutomaticMessageAdded.v1"

    contact_id: UUID
    message: CustomerMessage


class MessageSetAside(Fact):
    """A message that makes no ticket; the stream is derived from its source key."""

    TYPE: ClassVar[str] = "deskline.tickets.MessageSetAside.v1"

    source_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    line_id: UUID
    contact_id: UUID
    received_at: datetime
    reason: Literal["bounce", "list", "own_loop", "person_erased"]


class OperatorReplied(Fact):
    """An operator's public answer, under the key of the ticket's contact."""

    TYPE: ClassVar[str] = "deskline.tickets.OperatorReplied.v1"

    reply_id: UUID
    operator_id: UUID
    contact_id: Annotated[UUID, Field(description="whom it answers")]
    text: Annotated[str, Personal("contact_id")]
    seen_version: Annotated[int, Field(ge=1, description="the version that the operator had read")]


class NoteAdded(Fact):
    """An internal note; its text never leaves the owner."""

    TYPE: ClassVar[str] = "deskline.tickets.NoteAdded.v1"

    note_id: UUID
    operator_id: UUID
    mentions: tuple[UUID, ...] = ()


class StageChanged(Fact):
    """The ticket moved by the table of transitions."""

    TYPE: ClassVar[str] = "deskline.tickets.StageChanged.v1"

    before: Stage
    after: Stage
    actor: Actor
    cycle: Annotated[int, Field(ge=1, description="1, and one more with each reopening")]
    assignment_no: Annotated[int, Field(ge=0)]
    closing_reason: Code | None = None
    until: Annotated[datetime | None, Field(description="for waiting_until")] = None


class PriorityChanged(Fact):
    """The ticket's priority changed."""

    TYPE: ClassVar[str] = "deskline.tickets.PriorityChanged.v1"

    before: Priority
    after: Priority
    actor: Actor
