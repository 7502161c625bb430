"""The shapes of analytics: lists, search and reports from read models."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from deskline_events.facts import Level, Priority
from deskline_events.sla import ClockName
from deskline_events.tickets import Stage
from deskline_gateway.api.contract.shared import (
    BAD_CURSOR,
    UNKNOWN,
    Answered,
    Asked,
    Cursor,
    Limit,
    Shape,
    Version,
)

MinVersion = Annotated[
    str | None,
    Field(
        pattern=r"^[0-9a-fA-F-]{36}:[1-9][0-9]{0,17}$",
        description="<ticket_id>:<version>: waits up to 2 s until it is known here, then 503",
    ),
]


class FreshQuery(Asked):
    """What must be known for the answer to count."""

    min_version: MinVersion = None


class TicketsQuery(FreshQuery):
    """What a list is narrowed to, and where its page begins."""

    stage: Stage | None = None
    priority: Priority | None = None
    line_id: UUID | None = None
    open: bool | None = None
    number: Annotated[int | None, Field(ge=1)] = None
    queue_id: UUID | None = None
    team_id: UUID | None = None
    assignee_id: UUID | None = None
    level: Level | None = None
    opened_from: Annotated[AwareDatetime | None, Field(description="included")] = None
    opened_to: Annotated[AwareDatetime | None, Field(description="excluded")] = None
    cursor: Cursor = None
    limit: Limit = 50


Freshness = Annotated[
    dict[str, AwareDatetime | None], Field(description="time of the latest event applied, by its owner")
]


class ListedTicket(Answered):
    """A ticket as the read model has it; `subject` is left out for analysts."""

    ticket_id: UUID
    number: Annotated[int, Field(ge=1)]
    subject: str | None = None
    stage: Stage
    priority: Priority
    level: int
    cycle: int
    line_id: UUID
    line_name: str
    channel: str
    contact_id: UUID
    company_id: UUID | None
    tier: str | None
    locale: str
    open: bool
    opened_at: AwareDatetime
    changed_at: AwareDatetime
    first_operator_at: AwareDatetime | None
    last_customer_at: AwareDatetime | None
    last_operator_at: AwareDatetime | None
    reopened: int
    resolved_at: AwareDatetime | None
    closed_at: AwareDatetime | None
    closing_reason: str | None
    assignment_no: int
    queue_id: UUID | None
    team_id: UUID | None
    assignee_id: UUID | None
    offer_id: Annotated[UUID | None, Field(description="the open offer")]
    offer_operator_id: UUID | None
    offer_until: AwareDatetime | None
    first_response_due_at: AwareDatetime | None
    first_response_breached: bool | None
    resolution_due_at: Annotated[AwareDatetime | None, Field(description="null while its clock stands still")]
    resolution_breached: bool | None
    version: Version


class TicketsPage(Answered):
    """A page in the order of opening."""

    items: list[ListedTicket]
    next_cursor: str | None
    as_of: Freshness


class NumberedTicket(Answered):
    """The ticket with a number."""

    ticket: ListedTicket
    as_of: Freshness


class TimelineQuery(FreshQuery):
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


class DaysQuery(FreshQuery):
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


class Search(Asked):
    """Words to look for, as people type them: "a phrase", or, -without; in Russian or English."""

    text: Annotated[str, Field(min_length=1, max_length=500)]
    open: Annotated[bool | None, Field(description="only open tickets, or only others")] = None
    cursor: Cursor = None
    limit: Limit = 50


class FoundTicket(Answered):
    """A ticket with a message in which the words were found."""

    ticket_id: UUID
    number: int
    subject: str
    stage: Stage
    priority: Priority
    level: int
    open: bool
    opened_at: AwareDatetime
    changed_at: AwareDatetime
    queue_id: UUID | None
    assignee_id: UUID | None
    relevance: Annotated[float, Field(description="comparable within a search only")]
    messages: Annotated[int, Field(description="how many of its messages hold the words")]


class FoundPage(Answered):
    """Tickets in which the words are, the best first."""

    items: list[FoundTicket]
    next_cursor: str | None
    as_of: Freshness


class RoutingDecision(Answered):
    """A decision of routing, with what became of it."""

    decision_id: UUID
    kind: Annotated[str, Field(description="queued, offered, nobody, withdrawn or unassigned")]
    decided_at: AwareDatetime
    event_id: UUID
    assignment_no: int
    attempt: int | None
    queue_id: UUID | None
    operator_id: UUID | None
    offer_id: UUID | None
    reason: str | None
    candidates: list[Any]
    basis: dict[str, Any]
    outcome: str | None
    outcome_reason: str | None
    outcome_at: AwareDatetime | None


class RoutingDecisions(Answered):
    """How a ticket was routed, in order."""

    ticket_id: UUID
    items: list[RoutingDecision]
    next_cursor: str | None
    as_of: Freshness


class DecisionsQuery(FreshQuery):
    """Where the page begins."""

    cursor: Cursor = None
    limit: Limit = 50


class RangeQuery(FreshQuery):
    """Days of UTC, at most 366."""

    from_: Annotated[date, Field(alias="from", description="first day")]
    to: Annotated[date, Field(description="last day, included")]


class SlaQuery(DaysQuery):
    """Days on which a clock was due."""

    clock: ClockName


class Elapsed(Answered):
    """Business seconds that met clocks took, late ones included; null without any."""

    n: int
    median: float | None
    p90: float | None
    mean: float | None


class Kept(Answered):
    """Clocks by due date; merged and spam are left out, an abandoned ticket counts as breached."""

    met: Annotated[int, Field(description="in time")]
    breached: Annotated[int, Field(description="met late, or open and overdue")]
    pending: Annotated[int, Field(description="open and not yet due, or standing still")]
    compliance: Annotated[float | None, Field(description="met ÷ (met + breached); null without either")]
    elapsed: Elapsed


class KeptDay(Kept):
    """A day of the zone."""

    date: date


class SlaReport(Answered):
    """A clock's outcomes per day on which it was due, and in all."""

    from_: Annotated[date, Field(alias="from")]
    to: date
    zone: str
    clock: ClockName
    days: list[KeptDay]
    total: Kept
    as_of: Freshness


class Load(Answered):
    """What operators did on the days asked for, and what they have now."""

    offered: int
    accepted: int
    declined: int
    timed_out: int
    replies: int
    resolved: int
    open_tickets: Annotated[int, Field(description="now")]
    open_offers: Annotated[int, Field(description="now")]


class OperatorLoad(Load):
    """One operator; names are left out for analysts."""

    operator_id: UUID
    name: str | None = None


class LoadReport(Answered):
    """Load per operator; an operator is shown their own."""

    from_: Annotated[date, Field(alias="from")]
    to: date
    operators: list[OperatorLoad]
    total: Load
    as_of: Freshness


SHAPES: Final[Mapping[str, Shape]] = {
    "list_tickets": Shape(
        "Tickets, in the order of opening", TicketsPage, query=TicketsQuery, refusals=BAD_CURSOR
    ),
    "find_ticket_by_number": Shape(
        "The ticket with a number", NumberedTicket, query=FreshQuery, refusals=UNKNOWN
    ),
    "read_timeline": Shape("What happened to a ticket", Timeline, query=TimelineQuery, refusals=UNKNOWN),
    "search_tickets": Shape("Tickets by their words", FoundPage, body=Search, refusals=BAD_CURSOR),
    "read_routing_decisions": Shape(
        "How a ticket was routed", RoutingDecisions, query=DecisionsQuery, refusals=UNKNOWN | BAD_CURSOR
    ),
    "report_daily_flow": Shape("The flow per day", DailyFlow, query=DaysQuery),
    "report_sla": Shape("How service levels were kept", SlaReport, query=SlaQuery),
    "report_operator_load": Shape("What operators had to do", LoadReport, query=RangeQuery),
}
