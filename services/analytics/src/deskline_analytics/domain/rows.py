"""Rows of the read models; every value comes from an event, none from a clock or a random source."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

MessageSide = Literal["customer", "operator", "automatic"]

OVER = frozenset({"resolved", "closed", "merged", "spam", "abandoned"})
"""Stages in which nobody owes the ticket any work."""


@dataclass(slots=True)
class TicketRow:
    """A row of `open_tickets`, its columns in the table's order; `version` is the last event's sequence.

    `opened_at`, `resolved_at`, `closed_at` and operators' times are commits (`ce_time`), customers'
    times are those at the door (`received_at`).
    """

    ticket_id: UUID
    version: int
    number: int
    stage: str
    priority: str
    level: int
    cycle: int
    line_id: UUID
    line_name: str
    channel: str
    contact_id: UUID
    company_id: UUID | None
    tier: str | None
    locale: str
    subject: str
    open: bool
    opened_at: datetime
    changed_at: datetime
    first_customer_at: datetime | None = None
    last_customer_at: datetime | None = None
    first_operator_at: datetime | None = None
    last_operator_at: datetime | None = None
    last_message_kind: MessageSide | None = None
    customer_messages: int = 0
    operator_messages: int = 0
    automatic_messages: int = 0
    notes: int = 0
    reopened: int = 0
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    closing_reason: str | None = None
    waiting_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """A row of `ticket_timeline`; `details` are JSON types and hold no personal text."""

    ticket_id: UUID
    sequence: int
    event_id: UUID
    type: str
    time: datetime
    actor_kind: Literal["operator", "contact", "system"]
    actor_id: UUID | None
    causation_id: UUID | None
    correlation_id: UUID
    details: dict[str, Any]


@dataclass(slots=True)
class FlowRow:
    """What one batch adds to a row of `daily_flow`."""

    received: int = 0
    opened: int = 0
    customer_replies: int = 0
    operator_replies: int = 0
    automatic: int = 0
    resolved: int = 0
    reopened: int = 0
    closed: int = 0
    set_aside: int = 0


FlowKey = tuple[datetime, UUID]
"""(start of the quarter of an hour, line)"""


@dataclass(frozen=True, slots=True)
class LineRow:
    """A row of `lines`, as the latest of intake's events tells it: latest by time, then by event id."""

    line_id: UUID
    name: str
    channel: str
    language: str
    told_at: datetime
    told_by: UUID


@dataclass(slots=True)
class Changes:
    """What a batch of events makes of the read models."""

    tickets: dict[UUID, TicketRow] = field(default_factory=dict)
    timeline: list[TimelineRow] = field(default_factory=list)
    flow: dict[FlowKey, FlowRow] = field(default_factory=dict)
    lines: dict[UUID, LineRow] = field(default_factory=dict)
    fresh: dict[str, datetime] = field(default_factory=dict)

    def flow_at(self, moment: datetime, line_id: UUID) -> FlowRow:
        """The counts of the quarter of an hour that holds this moment."""
        return self.flow.setdefault((quarter_of(moment), line_id), FlowRow())


def quarter_of(moment: datetime) -> datetime:
    """The start of its quarter of an hour: every zone in use today is off UTC by whole quarters."""
    return moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)
