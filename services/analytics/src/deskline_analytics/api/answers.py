"""Answers: their shapes, for whoever reads the OpenAPI description, and for us not to send more."""

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from deskline_events.facts import Priority
from deskline_events.tickets import Stage


class _Answer(BaseModel):
    # A field that nobody declared here is one that nobody decided to show.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class AsOf(_Answer):
    """Time of the latest applied event per announcing service; null before the first."""

    intake: dt.datetime | None
    tickets: dt.datetime | None


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
