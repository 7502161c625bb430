"""Answers: their shapes, for whoever reads the OpenAPI description, and for us not to send more."""

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from deskline_events.facts import Priority
from deskline_events.sla import ClockName
from deskline_events.tickets import Stage


class _Answer(BaseModel):
    # A field that nobody declared here is one that nobody decided to show.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class AsOf(_Answer):
    """Time of the latest applied event per announcing service; null before the first."""

    intake: dt.datetime | None
    tickets: dt.datetime | None
    routing: dt.datetime | None
    sla: dt.datetime | None
    notify: dt.datetime | None


class _Fresh(_Answer):
    as_of: AsOf


class Ticket(_Answer):
    """A ticket as it is now."""

    ticket_id: UUID
    number: int
    subject: Annotated[str, Field(description="not shown to analysts; `erased` once the person was")] = ""
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
    opened_at: dt.datetime
    changed_at: dt.datetime
    first_customer_at: dt.datetime | None
    last_customer_at: dt.datetime | None
    first_operator_at: dt.datetime | None
    last_operator_at: dt.datetime | None
    last_message_kind: str | None
    customer_messages: int
    operator_messages: int
    automatic_messages: int
    notes: int
    reopened: int
    resolved_at: dt.datetime | None
    closed_at: dt.datetime | None
    closing_reason: str | None
    waiting_until: dt.datetime | None
    assignment_no: int
    queue_id: UUID | None
    team_id: Annotated[UUID | None, Field(description="of the queue, when the ticket came there")]
    routed_at: dt.datetime | None
    assignee_id: UUID | None
    assigned_at: dt.datetime | None
    offer_id: Annotated[UUID | None, Field(description="the open offer")]
    offer_operator_id: UUID | None
    offer_until: dt.datetime | None
    escalations: int
    routing_decision: Annotated[
        str | None, Field(description="the latest: queued, offered, nobody, withdrawn or unassigned")
    ]
    routing_decided_at: dt.datetime | None
    first_response_due_at: dt.datetime | None
    first_response_at: dt.datetime | None
    first_response_breached: bool | None
    resolution_due_at: Annotated[dt.datetime | None, Field(description="null while its clock stands still")]
    resolution_met_at: dt.datetime | None
    resolution_breached: bool | None
    acknowledged_at: dt.datetime | None
    last_notified_at: dt.datetime | None
    notifications_sent: int
    notifications_failed: int
    version: Annotated[int, Field(description="sequence of the ticket's latest event in this answer")]


class TicketPage(_Fresh):
    """A page in the order (opened_at, ticket_id)."""

    items: list[Ticket]
    next_cursor: Annotated[str | None, Field(description="null on the last page")]


class OneTicket(_Fresh):
    """One ticket."""

    ticket: Ticket


class Happened(_Answer):
    """An event of a ticket, without what anybody wrote."""

    sequence: int
    event_id: UUID
    type: str
    time: dt.datetime
    actor_kind: str
    actor_id: UUID | None
    causation_id: UUID | None
    correlation_id: UUID
    details: dict[str, Any]


class Timeline(_Fresh):
    """A ticket's events in order."""

    ticket_id: UUID
    events: list[Happened]
    next_after: Annotated[int | None, Field(description="`after` of the next page; null on the last")]


class Counts(_Answer):
    """What happened in a span of time."""

    received: int
    opened: int
    customer_replies: int
    operator_replies: int
    automatic: int
    resolved: int
    reopened: int
    closed: int
    set_aside: int


class LineCounts(Counts):
    """What happened on a line; its name and channel are null until intake told of it."""

    line_id: UUID
    line_name: str | None
    channel: str | None


class Day(_Answer):
    """A day of the zone."""

    date: dt.date
    total: Counts
    lines: list[LineCounts]


class DailyFlow(_Fresh):
    """Counts per day and line; days without any have an empty list."""

    from_: Annotated[dt.date, Field(alias="from")]
    to: dt.date
    zone: str
    days: list[Day]
    total: Counts


class FoundTicket(_Answer):
    """A ticket with a message in which the words were found."""

    ticket_id: UUID
    number: int
    subject: Annotated[str, Field(description="`erased` once the person was")]
    stage: Stage
    priority: Priority
    level: int
    open: bool
    opened_at: dt.datetime
    changed_at: dt.datetime
    queue_id: UUID | None
    assignee_id: UUID | None
    relevance: Annotated[float, Field(description="of its best message; comparable within a search only")]
    messages: Annotated[int, Field(description="how many of its messages hold the words")]


class FoundPage(_Fresh):
    """A page in the order of relevance, then newest first."""

    items: list[FoundTicket]
    next_cursor: Annotated[str | None, Field(description="null on the last page")]


class Decision(_Answer):
    """A decision of routing, with what became of it."""

    decision_id: UUID
    kind: Annotated[str, Field(description="queued, offered, nobody, withdrawn or unassigned")]
    decided_at: dt.datetime
    event_id: UUID
    assignment_no: int
    attempt: int | None
    queue_id: UUID | None
    operator_id: UUID | None
    offer_id: UUID | None
    reason: str | None
    candidates: Annotated[list[Any], Field(description="operators (or queues) looked at, and why not")]
    basis: Annotated[dict[str, Any], Field(description="what else it rests on")]
    outcome: Annotated[
        str | None, Field(description="routed, offered, accepted, declined, ended or refused; null: none yet")
    ]
    outcome_reason: str | None
    outcome_at: dt.datetime | None


class Decisions(_Fresh):
    """Decisions on a ticket in the order in which they were made."""

    ticket_id: UUID
    items: list[Decision]
    next_cursor: Annotated[str | None, Field(description="null on the last page")]


class Elapsed(_Answer):
    """Business seconds that met clocks took, late ones included; null without any."""

    n: int
    median: float | None
    p90: float | None
    mean: float | None


class Kept(_Answer):
    """Clocks by due date; merged and spam are left out, an abandoned ticket counts as breached."""

    met: Annotated[int, Field(description="in time")]
    breached: Annotated[int, Field(description="met late, or open and overdue")]
    pending: Annotated[int, Field(description="open and not yet due, or standing still")]
    compliance: Annotated[float | None, Field(description="met ÷ (met + breached); null without either")]
    elapsed: Elapsed


class KeptDay(Kept):
    """A day of the zone."""

    date: dt.date


class SlaReport(_Fresh):
    """A clock's outcomes per day on which it was due, and in all."""

    from_: Annotated[dt.date, Field(alias="from")]
    to: dt.date
    zone: str
    clock: ClockName
    days: list[KeptDay]
    total: Kept


class Load(_Answer):
    """What operators did on the days asked for, and what they have now."""

    offered: int
    accepted: Annotated[int, Field(description="offers accepted, and tickets taken without one")]
    declined: int
    timed_out: int
    replies: int
    resolved: Annotated[int, Field(description="credited to who resolved; the system's, to the assignee")]
    open_tickets: Annotated[int, Field(description="now")]
    open_offers: Annotated[int, Field(description="now")]


class OperatorLoad(Load):
    """One operator."""

    operator_id: UUID
    name: Annotated[str | None, Field(description="not shown to analysts; null until routing told it")] = None


class LoadReport(_Fresh):
    """Load per operator; days are those of UTC."""

    from_: Annotated[dt.date, Field(alias="from")]
    to: dt.date
    operators: list[OperatorLoad]
    total: Load
