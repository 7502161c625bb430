"""What tickets answers, as models: the shapes of its HTTP contract."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from deskline_events.facts import Customer, Line, Priority
from deskline_events.intake import MessageKind
from deskline_events.tickets import Actor, Link, Stage


class Answered(BaseModel):
    """Immutable, and silent about its content in errors."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class OfferShown(Answered):
    """The open offer."""

    offer_id: UUID
    operator_id: UUID
    until: datetime


class TicketState(Answered):
    """A ticket at a version; times are commits, UTC."""

    ticket_id: UUID
    number: int
    line_id: UUID
    contact_id: UUID
    participants: list[UUID]
    version: int
    stage: Stage
    priority: Priority
    level: int
    cycle: int
    assignment_no: int
    queue_id: UUID | None
    team_id: UUID | None
    assignee_id: UUID | None
    offer: OfferShown | None
    opened_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    until: datetime | None
    closing_reason: str | None
    first_human_reply_at: datetime | None
    last_speaker: Literal["customer", "operator"] | None


class FileShown(Answered):
    """An attachment, without its content."""

    attachment_id: UUID
    filename: str
    media_type: str
    size: int = Field(description="bytes")
    sha256: str
    inline: bool


class RawShown(Answered):
    """The message as it was received, kept because reading it failed in part; without its content."""

    size: int = Field(description="bytes")
    sha256: str


class DeliveryShown(Answered):
    """What became of a reply on its way to the customer."""

    state: Literal["sent", "failed"]
    reason: str | None


class HandOverShown(Answered):
    """What the next level was told beside the note, which is the message's text."""

    before: int
    after: int
    tried: str | None
    reproduce: str | None
    affected: str | None


class MessageShown(Answered):
    """One message of the conversation; an erased person's texts read "erased"."""

    version: int
    at: datetime
    kind: Literal["customer", "automatic", "reply", "note", "escalation"]
    author: Actor
    text: str
    reply: str | None = Field(None, description="text without quotes, where that differs")
    received_at: datetime | None = None
    mail_kind: MessageKind | None = None
    truncated: bool = Field(default=False, description="text is an excerpt, the whole is an object")
    attachments: list[FileShown] = []
    mentions: list[UUID] = []
    problems: list[str] = []
    raw: RawShown | None = None
    reply_id: UUID | None = None
    delivery: DeliveryShown | None = Field(None, description="of a reply; null: not known yet")
    hand_over: HandOverShown | None = None


class Card(TicketState):
    """A ticket with its conversation, in the order of commits."""

    subject: str
    line: Line
    customer: Customer
    link: Link | None
    moves: list[Stage] = Field(description="where the caller may move it")
    messages: list[MessageShown]


class CauseShown(Answered):
    """The story that a fact belongs to, and the event or command that it follows from."""

    correlation_id: UUID
    causation_id: UUID | None


class FactShown(Answered):
    """What happened: who, what, when, and what caused it; without personal texts."""

    version: int
    type: str
    at: datetime
    actor: Actor
    cause: CauseShown
    data: dict[str, Any]


class History(Answered):
    """A ticket as it was, and the facts that made it so."""

    ticket_id: UUID
    version: int
    state: TicketState
    events: list[FactShown]


class SetAsideShown(Answered):
    """A message that made no ticket."""

    source_key: str
    contact_id: UUID
    received_at: datetime
    reason: str
    set_aside_at: datetime


class SetAsidePage(Answered):
    """Newest first; `next_cursor` leads to the following page, null on the last."""

    items: list[SetAsideShown]
    next_cursor: str | None


class ArrivedShown(Answered):
    """What came to the ticket after the version that the operator had read."""

    version: int
    type: str
    at: datetime


class Replied(Answered):
    """An accepted reply; `stage` is where the ticket is now."""

    reply_id: UUID
    version: int
    stage: Stage
    arrived_since: list[ArrivedShown]


class Noted(Answered):
    """An accepted note."""

    note_id: UUID
    version: int


class Moved(Answered):
    """The stage as it is now."""

    version: int
    stage: Stage


class Prioritised(Answered):
    """The priority as it is now."""

    version: int
    priority: Priority


class Requeued(Answered):
    """The queue as it is now."""

    version: int
    queue_id: UUID


class Accepted(Answered):
    """Who has the ticket now."""

    version: int
    stage: Stage
    assignee_id: UUID


class Declined(Answered):
    """A declined offer."""

    version: int


class Levelled(Answered):
    """Level and priority as they are now."""

    version: int
    level: int
    priority: Priority
