"""What is stored of a ticket: private events, of which `publisher.py` makes the public ones."""

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Code, Customer, Fact, Level, Line, Priority
from deskline_events.personal import Personal
from deskline_events.tickets import Actor, AssignmentNo, CustomerMessage, Link, Stage, WithdrawalReason

DecisionId = Annotated[
    UUID | None, Field(description="`ce_id` of the decision of another service that it answers")
]
StepKey = Annotated[str | None, Field(max_length=200, description="{clock}/{cycle}/{step}/{generation}")]


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


class PriorityRaised(Fact):
    """A step of a service level made the ticket more urgent; to others a PriorityChanged."""

    TYPE: ClassVar[str] = "PriorityRaised.v1"

    before: Priority
    after: Priority
    actor: Actor
    step_key: StepKey
    decision_id: DecisionId


class TicketRouted(Fact):
    """The ticket stands in a queue."""

    TYPE: ClassVar[str] = "TicketRouted.v1"

    queue_id: UUID
    team_id: UUID | None = None
    actor: Actor
    assignment_no: AssignmentNo
    decision_id: DecisionId = None


class TicketOffered(Fact):
    """The ticket is offered to an operator."""

    TYPE: ClassVar[str] = "TicketOffered.v1"

    offer_id: UUID
    operator_id: UUID
    queue_id: UUID
    until: datetime
    assignment_no: AssignmentNo
    decision_id: DecisionId


class OfferDeclined(Fact):
    """The operator declined the open offer."""

    TYPE: ClassVar[str] = "OfferDeclined.v1"

    offer_id: UUID
    operator_id: UUID
    reason: Code | None = None
    assignment_no: AssignmentNo


class OfferEnded(Fact):
    """The open offer ended without the operator's answer."""

    TYPE: ClassVar[str] = "OfferEnded.v1"

    offer_id: UUID
    operator_id: UUID
    reason: WithdrawalReason | Literal["ticket_moved"]
    assignment_no: AssignmentNo
    decision_id: DecisionId = None


class TicketAccepted(Fact):
    """The ticket has an assignee; by an offer, or by taking or answering it."""

    TYPE: ClassVar[str] = "TicketAccepted.v1"

    operator_id: UUID
    offer_id: UUID | None = None
    actor: Actor
    assignment_no: AssignmentNo


class TicketUnassigned(Fact):
    """The ticket has no assignee any more."""

    TYPE: ClassVar[str] = "TicketUnassigned.v1"

    operator_id: UUID
    reason: Literal[
        "given_back", "taken_away", "escalated", "queue_changed", "operator_left", "operator_lost"
    ]
    actor: Actor
    assignment_no: AssignmentNo
    decision_id: DecisionId = None


class Escalated(Fact):
    """The ticket went to another level; what was handed over stays here, under the contact's key."""

    TYPE: ClassVar[str] = "Escalated.v1"

    before: Level
    after: Level
    reason: Literal["manual", "timeout", "criteria"]
    actor: Actor
    assignment_no: AssignmentNo
    preferred_operator_id: UUID | None = None
    step_key: StepKey = None
    has_note: bool = False
    contact_id: UUID
    note: Annotated[str | None, Personal("contact_id")] = None
    tried: Annotated[str | None, Personal("contact_id")] = None
    reproduce: Annotated[str | None, Personal("contact_id")] = None
    affected: Annotated[str | None, Personal("contact_id")] = None
    decision_id: DecisionId = None


class DecisionRefused(Fact):
    """A decision of another service rested on what is no longer so."""

    TYPE: ClassVar[str] = "DecisionRefused.v1"

    decision: Literal["queue", "offer", "withdrawal", "unassignment", "step"]
    decision_id: UUID
    offer_id: UUID | None = None
    reason: Code
    stage: Stage
    assignee_id: UUID | None = None
    assignment_no: AssignmentNo
    step_key: StepKey = None


class DeliveryChanged(Fact):
    """What became of a reply on its way to the customer."""

    TYPE: ClassVar[str] = "DeliveryChanged.v1"

    reply_id: UUID
    notification_id: UUID
    state: Literal["sent", "failed"]
    reason: Code | None = None
    decision_id: DecisionId


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
        PriorityRaised,
        TicketRouted,
        TicketOffered,
        OfferDeclined,
        OfferEnded,
        TicketAccepted,
        TicketUnassigned,
        Escalated,
        DecisionRefused,
        DeliveryChanged,
    )
}
