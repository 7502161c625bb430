"""The shapes of what passes the door, for its description only: the owners validate, the door doesn't."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from deskline_events.facts import Code, Priority
from deskline_events.tickets import Actor, Stage

Version = Annotated[int, Field(ge=1, description="the ticket's version: how many events it has")]
Text = Annotated[str, Field(min_length=1, description="at most 64 KiB of UTF-8")]


class Asked(BaseModel):
    """What an owner takes: an unknown field is refused with 422."""

    model_config = ConfigDict(extra="forbid")


class Answered(BaseModel):
    """What an owner gives: clients ignore fields that they don't know."""

    model_config = ConfigDict(extra="allow")


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
    mentions: Annotated[list[UUID], Field(max_length=50, description="actors who should see it")] = []


class StageChange(Asked):
    """A move by the table of transitions."""

    stage: Stage
    closing_reason: Annotated[Code | None, Field(description="needed to resolve")] = None
    until: Annotated[AwareDatetime | None, Field(description="needed by waiting_until")] = None


class PriorityChange(Asked):
    """How urgent the ticket is from now on."""

    priority: Priority


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
    opened_at: AwareDatetime
    resolved_at: AwareDatetime | None
    closed_at: AwareDatetime | None
    until: AwareDatetime | None
    closing_reason: str | None
    first_human_reply_at: AwareDatetime | None
    last_speaker: Literal["customer", "operator"] | None


class Message(Answered):
    """One message of the conversation; an erased person's texts read "erased"."""

    version: Version
    at: AwareDatetime
    kind: Literal["customer", "automatic", "reply", "note"]
    author: Actor
    text: str
    reply: Annotated[str | None, Field(description="text without quotes, where that differs")] = None


class Card(TicketState):
    """A ticket with its conversation, as its owner knows it now."""

    subject: str
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


class SetAsideQuery(Asked):
    """Where the page begins."""

    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


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


class TicketsQuery(Asked):
    """What a list is narrowed to, and where its page begins."""

    stage: Stage | None = None
    priority: Priority | None = None
    line_id: UUID | None = None
    open: bool | None = None
    number: Annotated[int | None, Field(ge=1)] = None
    opened_from: Annotated[AwareDatetime | None, Field(description="included")] = None
    opened_to: Annotated[AwareDatetime | None, Field(description="excluded")] = None
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


Freshness = Annotated[
    dict[str, AwareDatetime | None], Field(description="time of the latest event applied, by its owner")
]


class ListedTicket(Answered):
    """A ticket as the read model has it; `subject` is left out for analysts."""

    ticket_id: UUID
    number: Annotated[int, Field(ge=1)]
    version: Version
    stage: Stage
    priority: Priority
    open: bool
    opened_at: AwareDatetime
    changed_at: AwareDatetime
    line_id: UUID
    contact_id: UUID
    subject: str | None = None


class TicketsPage(Answered):
    """A page in the order of opening."""

    items: list[ListedTicket]
    next_cursor: str | None
    as_of: Freshness


class NumberedTicket(Answered):
    """The ticket with a number."""

    ticket: ListedTicket
    as_of: Freshness


class TimelineQuery(Asked):
    """A part of a timeline."""

    after: Annotated[int, Field(ge=0, description="sequence after which to begin")] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 1000


class TimelineEvent(Answered):
    """One event, without anybody's words."""

    sequence: Annotated[int, Field(ge=1)]
    event_id: UUID
    type: str
    time: AwareDatetime
    actor_kind: Literal["operator", "contact", "system"]
    actor_id: UUID | None
    causation_id: UUID | None
    correlation_id: UUID
    details: dict[str, Any]


class Timeline(Answered):
    """What happened to a ticket, in order."""

    ticket_id: UUID
    events: list[TimelineEvent]
    next_after: int | None
    as_of: Freshness


class DailyFlowQuery(Asked):
    """Days of a zone, at most 366."""

    from_: Annotated[date, Field(alias="from", description="first day")]
    to: Annotated[date, Field(description="last day, included")]
    zone: Annotated[str, Field(max_length=60, description="IANA name, such as Europe/Moscow")] = "UTC"


class FlowCounts(Answered):
    """What came and what was done."""

    received: int
    opened: int
    customer_replies: int
    operator_replies: int
    automatic: int
    resolved: int
    reopened: int
    closed: int
    set_aside: int


class LineCounts(FlowCounts):
    """The same for one line."""

    line_id: UUID
    line_name: str | None
    channel: str | None


class FlowDay(Answered):
    """One day, in all and by line."""

    date: date
    total: FlowCounts
    lines: list[LineCounts]


class DailyFlow(Answered):
    """The flow of a range of days."""

    from_: Annotated[date, Field(alias="from")]
    to: date
    zone: str
    days: list[FlowDay]
    total: FlowCounts
    as_of: Freshness


class Problem(Answered):
    """RFC 9457: what went wrong and what to do."""

    type: Annotated[str, Field(description="urn:deskline:problem:<code>")]
    title: str
    status: int
    code: Annotated[str, Field(description="for programs; stable")]
    detail: str | None = None
    trace_id: Annotated[str, Field(description="also in X-Request-Id; the services' logs have it")]
