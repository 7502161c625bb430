"""Events that tickets announces; the stream is the ticket's id and the sequence its version."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import (
    Attachment,
    Code,
    ContactId,
    Customer,
    Fact,
    Level,
    Line,
    OfferId,
    OperatorId,
    Priority,
    QueueId,
    SourceKey,
    StoredObject,
    Value,
)
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

    kind: Annotated[Literal["operator", "contact", "system"], Field(description="what they are")]
    id: Annotated[UUID | None, Field(description="of the operator or contact; null: the system")] = None


Doer = Annotated[Actor, Field(description="who did it")]


class CustomerMessage(Value):
    """What a customer wrote; its texts are under the key of the event's `contact_id`."""

    source_key: SourceKey
    received_at: Annotated[datetime, Field(description="at our door, never the Date header")]
    kind: Annotated[MessageKind, Field(description="who wrote it: a person, or which kind of machine")]
    suppress_auto_reply: Annotated[bool, Field(description="the sender asks for no automatic answer")] = False
    text: Annotated[str, Personal("contact_id"), Field(description="whole text, or its excerpt")]
    reply: Annotated[
        str | None, Personal("contact_id"), Field(description="text without quotes; null: same as text")
    ] = None
    text_object: Annotated[
        StoredObject | None, Field(description="the whole text where `text` is an excerpt; null: it is whole")
    ] = None
    message_id: Annotated[
        str | None,
        Personal("contact_id"),
        Field(description="RFC 5322 Message-ID without its angle brackets; null: none"),
    ] = None
    attachments: Annotated[tuple[Attachment, ...], Field(description="files that came with it")] = ()
    raw: Annotated[
        StoredObject | None, Field(description="the raw message, where reading it failed; null: it was read")
    ] = None
    problems: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")], ...],
        Field(description="what was wrong with it, e.g. charset_guessed, oversize"),
    ] = ()


class Link(Value):
    """What another ticket is to this one."""

    kind: Annotated[
        Literal["follow_up_of", "suspected_reply_to"],
        Field(description="it goes on after that one ended, or claims to without proof"),
    ]
    ticket_id: Annotated[UUID, Field(description="the other ticket")]


class TicketOpened(Fact):
    """A ticket exists; it is in stage `new` at level 1, cycle 1."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketOpened.v1"

    number: Annotated[int, Field(ge=1, description="for people; unique, not dense")]
    line: Annotated[Line, Field(description="line by which it came")]
    contact_id: ContactId
    customer: Annotated[Customer, Field(description="the contact as they were known then")]
    subject: Annotated[str, Personal("contact_id"), Field(description="subject, empty where it has none")]
    message: Annotated[CustomerMessage, Field(description="the message that opened it")]
    priority: Annotated[Priority, Field(description="priority that it begins with")]
    level: Level = 1
    reply_token: Annotated[str, Field(max_length=100, description="for the plus-address of our mails")]
    link: Annotated[Link | None, Field(description="the ticket that it goes on from; null: none")] = None


class CustomerReplied(Fact):
    """A person wrote again; where that reopened the ticket a StageChanged follows."""

    TYPE: ClassVar[str] = "deskline.tickets.CustomerReplied.v1"

    contact_id: Annotated[UUID, Field(description="the sender, a participant of the ticket")]
    message: Annotated[CustomerMessage, Field(description="what they wrote")]


class AutomaticMessageAdded(Fact):
    """A machine's mail on the ticket; it reopens nothing and starts no clock."""

    TYPE: ClassVar[str] = "deskline.tickets.AutomaticMessageAdded.v1"

    contact_id: Annotated[UUID, Field(description="the contact from whose address it came")]
    message: Annotated[CustomerMessage, Field(description="what it says")]


class MessageSetAside(Fact):
    """A message that makes no ticket; the stream is derived from its source key."""

    TYPE: ClassVar[str] = "deskline.tickets.MessageSetAside.v1"

    source_key: SourceKey
    line_id: Annotated[UUID, Field(description="line by which it came")]
    contact_id: Annotated[UUID, Field(description="the sender")]
    received_at: Annotated[datetime, Field(description="at our door, never the Date header")]
    reason: Annotated[
        Literal["bounce", "list", "own_loop", "person_erased"], Field(description="why it makes none")
    ]


class OperatorReplied(Fact):
    """An operator's public answer, under the key of the ticket's contact."""

    TYPE: ClassVar[str] = "deskline.tickets.OperatorReplied.v1"

    reply_id: Annotated[UUID, Field(description="id of the answer")]
    operator_id: OperatorId
    contact_id: Annotated[UUID, Field(description="whom it answers")]
    text: Annotated[str, Personal("contact_id"), Field(description="what the customer is sent")]
    seen_version: Annotated[int, Field(ge=1, description="the version that the operator had read")]


class NoteAdded(Fact):
    """An internal note; its text never leaves the owner."""

    TYPE: ClassVar[str] = "deskline.tickets.NoteAdded.v1"

    note_id: Annotated[UUID, Field(description="id of the note")]
    operator_id: OperatorId
    mentions: Annotated[tuple[UUID, ...], Field(description="operators who are to look at it")] = ()


class StageChanged(Fact):
    """The ticket moved by the table of transitions."""

    TYPE: ClassVar[str] = "deskline.tickets.StageChanged.v1"

    before: Annotated[Stage, Field(description="stage that it left")]
    after: Annotated[Stage, Field(description="stage that it is in now")]
    actor: Doer
    cycle: Annotated[int, Field(ge=1, description="1, and one more with each reopening")]
    assignment_no: AssignmentNo
    closing_reason: Annotated[
        Code | None, Field(description="why it was resolved; null: this move needs no reason")
    ] = None
    until: Annotated[
        datetime | None, Field(description="when a ticket in waiting_until goes on; null: another stage")
    ] = None


class PriorityChanged(Fact):
    """The ticket's priority changed."""

    TYPE: ClassVar[str] = "deskline.tickets.PriorityChanged.v1"

    before: Annotated[Priority, Field(description="priority until then")]
    after: Annotated[Priority, Field(description="priority from then on")]
    actor: Doer


class TicketRouted(Fact):
    """The ticket stands in a queue: routing's choice, or a person's, which raises `assignment_no`."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketRouted.v1"

    queue_id: QueueId
    team_id: Annotated[UUID | None, Field(description="team of that queue; null: everybody's")] = None
    actor: Doer
    assignment_no: AssignmentNo


class TicketOffered(Fact):
    """The ticket is offered to an operator; the only open offer until it is accepted, declined or ended."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketOffered.v1"

    offer_id: OfferId
    operator_id: OperatorId
    queue_id: QueueId
    until: Annotated[datetime, Field(description="when routing will withdraw it")]
    assignment_no: AssignmentNo


class OfferDeclined(Fact):
    """The operator declined the open offer."""

    TYPE: ClassVar[str] = "deskline.tickets.OfferDeclined.v1"

    offer_id: OfferId
    operator_id: OperatorId
    reason: Annotated[Code | None, Field(description="why, as the operator said; null: not said")] = None
    assignment_no: AssignmentNo


class OfferEnded(Fact):
    """The open offer ended without the operator's answer."""

    TYPE: ClassVar[str] = "deskline.tickets.OfferEnded.v1"

    offer_id: OfferId
    operator_id: OperatorId
    reason: Annotated[
        WithdrawalReason | Literal["ticket_moved"],
        Field(description="routing's reason, or that the ticket went on by another way"),
    ]
    assignment_no: AssignmentNo


class TicketAccepted(Fact):
    """The ticket has an assignee: by accepting an offer, or (offer null) by taking it or answering it."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketAccepted.v1"

    operator_id: Annotated[UUID, Field(description="the assignee from now on")]
    offer_id: Annotated[
        UUID | None, Field(description="the offer that was accepted; null: taken without one")
    ] = None
    actor: Doer
    assignment_no: AssignmentNo


class TicketUnassigned(Fact):
    """The ticket has no assignee any more and goes back to its queue."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketUnassigned.v1"

    operator_id: Annotated[UUID, Field(description="who had it")]
    reason: Annotated[
        Literal["given_back", "taken_away", "escalated", "queue_changed", "operator_left", "operator_lost"],
        Field(description="why they have it no more"),
    ]
    actor: Doer
    assignment_no: AssignmentNo


class Escalated(Fact):
    """The ticket went to another support level, up or back down; routing then chooses the queue."""

    TYPE: ClassVar[str] = "deskline.tickets.Escalated.v1"

    before: Annotated[Level, Field(description="support level until then")]
    after: Annotated[Level, Field(description="support level from then on")]
    reason: Annotated[
        Literal["manual", "timeout", "criteria"],
        Field(description="a person did it, a service-level step asked for it, or what the ticket is"),
    ]
    actor: Doer
    assignment_no: AssignmentNo
    preferred_operator_id: Annotated[
        UUID | None,
        Field(description="who had it at that level before; they are offered it first; null: nobody had"),
    ] = None
    step_key: Annotated[
        str | None,
        Field(max_length=200, description="the service-level step that asked for it; null: none did"),
    ] = None
    has_note: Annotated[bool, Field(description="something was handed over with it, for the staff")] = False


class DecisionRefused(Fact):
    """A decision of another service rested on what is no longer so; nothing was changed."""

    TYPE: ClassVar[str] = "deskline.tickets.DecisionRefused.v1"

    decision: Annotated[
        Literal["queue", "offer", "withdrawal", "unassignment", "step"], Field(description="what was asked")
    ]
    decision_id: Annotated[UUID, Field(description="`ce_id` of the event that asked")]
    offer_id: Annotated[UUID | None, Field(description="the offer in question; null: none was")] = None
    reason: Annotated[Code, Field(description="what it rested on, e.g. assignment_changed")]
    stage: Annotated[Stage, Field(description="stage of the ticket at that moment")]
    assignee_id: Annotated[UUID | None, Field(description="who has the ticket; null: nobody")] = None
    assignment_no: AssignmentNo


class DeliveryChanged(Fact):
    """What became of a reply on its way to the customer."""

    TYPE: ClassVar[str] = "deskline.tickets.DeliveryChanged.v1"

    reply_id: Annotated[UUID, Field(description="the reply, as in OperatorReplied")]
    notification_id: Annotated[UUID, Field(description="the message that carried it, as in NotificationSent")]
    state: Annotated[Literal["sent", "failed"], Field(description="taken by the provider, or given up")]
    reason: Annotated[Code | None, Field(description="why it failed; null: it was sent")] = None
