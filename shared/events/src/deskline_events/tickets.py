"""Events that tickets announces; the stream is the ticket's id and the sequence its version."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Attachment, Code, Customer, Fact, Level, Line, Priority, StoredObject, Value
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
AssignmentNo = Annotated[
    int,
    Field(
        ge=0, description="raised by stage, level, acceptance, unassignment and a person's change of queue"
    ),
]
WithdrawalReason = Literal["timed_out", "operator_lost", "operator_left"]


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
    level: Level = 1
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


class TicketRouted(Fact):
    """The ticket stands in a queue: routing's choice, or a person's, which raises `assignment_no`."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketRouted.v1"

    queue_id: UUID
    team_id: UUID | None = None
    actor: Actor
    assignment_no: AssignmentNo


class TicketOffered(Fact):
    """The ticket is offered to an operator; the only open offer until it is accepted, declined or ended."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketOffered.v1"

    offer_id: UUID
    operator_id: UUID
    queue_id: UUID
    until: Annotated[datetime, Field(description="when routing will withdraw it")]
    assignment_no: AssignmentNo


class OfferDeclined(Fact):
    """The operator declined the open offer."""

    TYPE: ClassVar[str] = "deskline.tickets.OfferDeclined.v1"

    offer_id: UUID
    operator_id: UUID
    reason: Code | None = None
    assignment_no: AssignmentNo


class OfferEnded(Fact):
    """The open offer ended without the operator's answer."""

    TYPE: ClassVar[str] = "deskline.tickets.OfferEnded.v1"

    offer_id: UUID
    operator_id: UUID
    reason: Annotated[
        WithdrawalReason | Literal["ticket_moved"],
        Field(description="routing's reason, or that the ticket went on by another way"),
    ]
    assignment_no: AssignmentNo


class TicketAccepted(Fact):
    """The ticket has an assignee: by accepting an offer, or (offer null) by taking it or answering it."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketAccepted.v1"

    operator_id: UUID
    offer_id: UUID | None = None
    actor: Actor
    assignment_no: AssignmentNo


class TicketUnassigned(Fact):
    """The ticket has no assignee any more and goes back to its queue."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketUnassigned.v1"

    operator_id: Annotated[UUID, Field(description="who had it")]
    reason: Literal[
        "given_back", "taken_away", "escalated", "queue_changed", "operator_left", "operator_lost"
    ]
    actor: Actor
    assignment_no: AssignmentNo


class Escalated(Fact):
    """The ticket went to another support level, up or back down; routing then chooses the queue."""

    TYPE: ClassVar[str] = "deskline.tickets.Escalated.v1"

    before: Level
    after: Level
    reason: Literal["manual", "timeout", "criteria"]
    actor: Actor
    assignment_no: AssignmentNo
    preferred_operator_id: Annotated[
        UUID | None, Field(description="who had it at that level before; they are offered it first")
    ] = None
    step_key: Annotated[
        str | None, Field(max_length=200, description="the service-level step that asked for it")
    ] = None
    has_note: bool = False


class DecisionRefused(Fact):
    """A decision of another service rested on what is no longer so; nothing was changed."""

    TYPE: ClassVar[str] = "deskline.tickets.DecisionRefused.v1"

    decision: Literal["queue", "offer", "withdrawal", "unassignment", "step"]
    decision_id: Annotated[UUID, Field(description="`ce_id` of the event that asked")]
    offer_id: UUID | None = None
    reason: Code
    stage: Stage
    assignee_id: UUID | None = None
    assignment_no: AssignmentNo


class DeliveryChanged(Fact):
    """What became of a reply on its way to the customer."""

    TYPE: ClassVar[str] = "deskline.tickets.DeliveryChanged.v1"

    reply_id: UUID
    notification_id: UUID
    state: Literal["sent", "failed"]
    reason: Code | None = None
