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
    version: Version
    stage: Stage
    priority: Priority
    open: bool
    opened_at: AwareDatetime
    changed_at: AwareDatetime
    line_id: UUID
    contact_id: UUID
    queue_id: UUID | None = None
    team_id: UUID | None = None
    assignee_id: UUID | None = None
    level: Level | None = None
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
    """Words to look for, in Russian or English, and where the page begins."""

    text: Annotated[str, Field(min_length=1, max_length=200)]
    cursor: Cursor = None
    limit: Limit = 50


class FoundPage(Answered):
    """Tickets in which the words are, the best first."""

    items: list[ListedTicket]
    next_cursor: str | None
    as_of: Freshness


class SlaReport(Answered):
    """How clocks that fell due in a range of days were kept."""

    from_: Annotated[date, Field(alias="from")]
    to: date
    zone: str
    clocks: list["ClockFigures"]
    as_of: Freshness


class ClockFigures(Answered):
    """One clock: met of met and breached."""

    clock: ClockName
    met: int
    breached: int


class OperatorLoad(Answered):
    """What operators had to do."""

    items: list["LoadFigures"]
    as_of: Freshness


class LoadFigures(Answered):
    """One operator."""

    operator_id: UUID


class RoutingDecisions(Answered):
    """How a ticket was routed, in order."""

    ticket_id: UUID
    items: list[dict[str, Any]]
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
        "How a ticket was routed", RoutingDecisions, query=FreshQuery, refusals=UNKNOWN
    ),
    "report_daily_flow": Shape("The flow per day", DailyFlow, query=DaysQuery),
    "report_sla": Shape("How service levels were kept", SlaReport, query=DaysQuery),
    "report_operator_load": Shape("What operators had to do", OperatorLoad, query=DaysQuery),
}
