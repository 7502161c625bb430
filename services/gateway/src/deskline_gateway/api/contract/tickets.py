"""The shapes of tickets: cards, histories and the commands on a ticket."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from deskline_events.facts import Code, Customer, Level, Line, Priority
from deskline_events.intake import MessageKind
from deskline_events.tickets import Actor, Link, Stage
from deskline_gateway.api.contract.shared import (
    TOO_LONG,
    UNKNOWN,
    Answered,
    Asked,
    News,
    Nothing,
    PageQuery,
    Reason,
    Shape,
    Text,
    Version,
)

Bytes = Annotated[int, Field(ge=0, description="bytes")]


class NewReply(Asked):
    """A public answer to the customer, and what becomes of the ticket with it."""

    text: Text
    seen_version: Annotated[Version, Field(description="the version that the operator had read")]
    then_stage: Stage | None = None
    closing_reason: Code | None = None
    until: AwareDatetime | None = None


class NewNote(Asked):
    """A note for colleagues only."""

    text: Text
    mentions: Annotated[tuple[UUID, ...], Field(max_length=50, description="actors who should see it")] = ()


class StageChange(Asked):
    """A move by the table of transitions."""

    stage: Stage
    closing_reason: Annotated[Code | None, Field(description="needed to resolve")] = None
    until: Annotated[AwareDatetime | None, Field(description="needed by waiting_until")] = None


class PriorityChange(Asked):
    """How urgent the ticket is from now on."""

    priority: Priority


class Acceptance(Asked):
    """The offer that is accepted."""

    offer_id: UUID


class Declining(Asked):
    """The offer that is declined, and why."""

    offer_id: UUID
    reason: Reason = None


class QueueChange(Asked):
    """Where the ticket stands from now on, until a person moves it again."""

    queue_id: UUID


class Escalation(Asked):
    """The level that takes over, and the hand-over's checklist."""

    level: Level
    note: Annotated[str | None, Field(description="for colleagues")] = None
    tried: Annotated[str | None, Field(description="what was tried")] = None
    reproduce: Annotated[str | None, Field(description="how to reproduce it")] = None
    affected: Annotated[str | None, Field(description="who is affected")] = None


class Arrival(Answered):
    """Something that came to the ticket after the version that the operator had seen."""

    version: Version
    type: str
    at: AwareDatetime


class ReplyAdded(Answered):
    """The reply is stored."""

    reply_id: UUID
    version: Version
    stage: Stage
    arrived_since: list[Arrival]


class NoteAdded(Answered):
    """The note is stored."""

    note_id: UUID
    version: Version


class StageNow(Answered):
    """The ticket after the move."""

    version: Version
    stage: Stage


class PriorityNow(Answered):
    """The ticket after the change."""

    version: Version
    priority: Priority


class Accepted(Answered):
    """The ticket is the caller's."""

    version: Version
    stage: Stage
    assignee_id: UUID


class Declined(Answered):
    """The offer has ended; the next operator is looked for."""

    version: Version


class QueuedNow(Answered):
    """The ticket after the change."""

    version: Version
    queue_id: UUID


class EscalatedNow(Answered):
    """The ticket after the escalation."""

    version: Version
    level: Level
    priority: Priority


class OpenOffer(Answered):
    """Who is asked to take the ticket, and until when."""

    offer_id: UUID
    operator_id: UUID
    until: AwareDatetime


class Delivery(Answered):
    """What became of a reply on its way to the customer."""

    state: Literal["sent", "failed"]
    reason: str | None = None


class TicketState(Answered):
    """A ticket at a version; times are commits, UTC."""

    ticket_id: UUID
    number: Annotated[int, Field(ge=1)]
    line_id: UUID
    contact_id: UUID
    participants: list[UUID]
    version: Version
    stage: Stage
    priority: Priority
    level: int
    cycle: int
    assignment_no: int
    queue_id: UUID | None
    team_id: UUID | None
    assignee_id: UUID | None
    offer: OpenOffer | None
    opened_at: AwareDatetime
    resolved_at: AwareDatetime | None
    closed_at: AwareDatetime | None
    until: AwareDatetime | None
    closing_reason: str | None
    first_human_reply_at: AwareDatetime | None
    last_speaker: Literal["customer", "operator"] | None


class File(Answered):
    """An attachment, without its content."""

    attachment_id: UUID
    filename: str
    media_type: str
    size: Bytes
    sha256: str
    inline: bool


class Raw(Answered):
    """The message as it was received, kept because reading it failed in part; without its content."""

    size: Bytes
    sha256: str


class HandOver(Answered):
    """What the next level was told beside the note, which is the message's text."""

    before: int
    after: int
    tried: str | None
    reproduce: str | None
    affected: str | None


class Message(Answered):
    """One message of the conversation; an erased person's texts read "erased"."""

    version: Version
    at: AwareDatetime
    kind: Literal["customer", "automatic", "reply", "note", "escalation"]
    author: Actor
    text: str
    reply: Annotated[str | None, Field(description="text without quotes, where that differs")] = None
    received_at: AwareDatetime | None = None
    mail_kind: MessageKind | None = None
    truncated: Annotated[bool, Field(description="text is an excerpt, the whole is an object")] = False
    attachments: tuple[File, ...] = ()
    mentions: tuple[UUID, ...] = ()
    problems: tuple[str, ...] = ()
    raw: Raw | None = None
    reply_id: UUID | None = None
    delivery: Annotated[Delivery | None, Field(description="of a reply; null until it is known")] = None
    hand_over: HandOver | None = None


class Card(TicketState):
    """A ticket with its conversation, as its owner knows it now."""

    subject: str
    line: Line
    customer: Customer
    link: Link | None
    moves: Annotated[list[Stage], Field(description="where the caller may move it")]
    messages: list[Message]


class HistoryQuery(Asked):
    """One of the two, or neither for the current state."""

    version: Version | None = None
    at: AwareDatetime | None = None


class Cause(Answered):
    """The story that a fact belongs to, and the event or command that it follows from."""

    correlation_id: UUID
    causation_id: UUID | None


class PastEvent(Answered):
    """Who did what, when, and what caused it; without personal texts."""

    version: Version
    type: str
    at: AwareDatetime
    actor: Actor
    cause: Cause
    data: dict[str, Any]


class History(Answered):
    """The state at a version or a moment, and the events up to it, replayed from what is stored."""

    ticket_id: UUID
    version: Version
    state: TicketState
    events: list[PastEvent]


class SetAside(Answered):
    """A message that made no ticket."""

    source_key: str
    contact_id: UUID
    received_at: AwareDatetime
    reason: str
    set_aside_at: AwareDatetime


class SetAsidePage(Answered):
    """Messages of a line that made no ticket, newest first."""

    items: list[SetAside]
    next_cursor: str | None


_ENDED: Final = {409: "the ticket's stage doesn't take it; the answer lists what it takes"}
_OFFER: Final = {409: "this offer is no longer open, or is another operator's"}

SHAPES: Final[Mapping[str, Shape]] = {
    "read_ticket": Shape("A ticket's card", Card, versioned=True, refusals=UNKNOWN),
    "read_history": Shape(
        "A ticket as it was, and how it came to that", History, query=HistoryQuery, refusals=UNKNOWN
    ),
    "reply": Shape(
        "Answer the customer",
        ReplyAdded,
        body=NewReply,
        status=201,
        versioned=True,
        refusals=UNKNOWN | _ENDED | TOO_LONG,
    ),
    "add_note": Shape(
        "Write a note for colleagues",
        NoteAdded,
        body=NewNote,
        status=201,
        versioned=True,
        refusals=UNKNOWN | _ENDED | TOO_LONG,
    ),
    "change_stage": Shape(
        "Move the ticket", StageNow, body=StageChange, versioned=True, refusals=UNKNOWN | _ENDED | TOO_LONG
    ),
    "change_priority": Shape(
        "Change the priority",
        PriorityNow,
        body=PriorityChange,
        versioned=True,
        refusals=UNKNOWN | _ENDED | TOO_LONG,
    ),
    "accept": Shape("Accept an offer", Accepted, body=Acceptance, versioned=True, refusals=UNKNOWN | _OFFER),
    "decline": Shape("Decline an offer", Declined, body=Declining, versioned=True, refusals=UNKNOWN | _OFFER),
    "unassign": Shape(
        "Give the ticket back, or take it away",
        StageNow,
        body=Nothing,
        versioned=True,
        refusals=UNKNOWN | _ENDED,
    ),
    "change_queue": Shape(
        "Move the ticket to another queue",
        QueuedNow,
        body=QueueChange,
        versioned=True,
        refusals=UNKNOWN | _ENDED,
    ),
    "escalate": Shape(
        "Hand the ticket to another support level",
        EscalatedNow,
        body=Escalation,
        versioned=True,
        refusals=UNKNOWN | _ENDED | TOO_LONG,
    ),
    "list_set_aside": Shape("Messages of a line that made no ticket", SetAsidePage, query=PageQuery),
    "watch_ticket": Shape(
        "Hear when something happens to a ticket", News, refusals=UNKNOWN, told="the ticket"
    ),
}
