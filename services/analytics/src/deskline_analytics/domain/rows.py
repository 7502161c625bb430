"""Rows of the read models; every value comes from an event, none from a clock or a random source."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from deskline_events.sla import ClockName

MessageSide = Literal["customer", "operator", "automatic"]
DecisionKind = Literal["queued", "offered", "nobody", "withdrawn", "unassigned"]
DecisionOutcome = Literal["routed", "offered", "accepted", "declined", "ended", "refused"]
ClockState = Literal["running", "paused", "met", "cancelled"]
Part = Literal["card", "routing", "sla", "notify"]
"""A group of columns of `open_tickets`, after its attribute of TicketRow."""

OVER = frozenset({"resolved", "closed", "merged", "spam", "abandoned"})
"""Stages in which nobody owes the ticket any work."""


@dataclass(slots=True)
class Card:
    """What tickets tells of a ticket; `version` is the sequence of its last event.

    `opened_at`, `resolved_at`, `closed_at`, operators' times and those of queue, offer and assignee are
    commits (`ce_time`), customers' times are those at the door (`received_at`).
    """

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
    assignment_no: int = 0
    queue_id: UUID | None = None
    team_id: UUID | None = None
    routed_at: datetime | None = None
    assignee_id: UUID | None = None
    assigned_at: datetime | None = None
    offer_id: UUID | None = None
    offer_operator_id: UUID | None = None
    offer_until: datetime | None = None
    escalations: int = 0


@dataclass(slots=True)
class RoutingPart:
    """What routing tells of a ticket: its latest decision, which may still be refused by tickets."""

    routing_decision: DecisionKind | None = None
    routing_decided_at: datetime | None = None
    offers_made: int = 0


@dataclass(slots=True)
class SlaPart:
    """What sla tells of a ticket: first response, and the resolution of its latest cycle.

    Nothing is due while a clock stands still or after it was cancelled.
    """

    first_response_due_at: datetime | None = None
    first_response_at: datetime | None = None
    first_response_breached: bool | None = None
    resolution_cycle: int | None = None
    resolution_due_at: datetime | None = None
    resolution_met_at: datetime | None = None
    resolution_breached: bool | None = None


@dataclass(slots=True)
class NotifyPart:
    """What notify tells of a ticket."""

    acknowledged_at: datetime | None = None
    last_notified_at: datetime | None = None
    notifications_sent: int = 0
    notifications_failed: int = 0


@dataclass(slots=True)
class TicketRow:
    """A row of `open_tickets`: a group of columns per owner, each written by its owner's events alone.

    Whichever owner tells first makes the row; without a card it is shown to nobody. `told` names the groups
    that a batch changes: what another owner tells may be changing at the same time, elsewhere.
    """

    ticket_id: UUID
    card: Card | None = None
    routing: RoutingPart = field(default_factory=RoutingPart)
    sla: SlaPart = field(default_factory=SlaPart)
    notify: NotifyPart = field(default_factory=NotifyPart)
    told: set[Part] = field(default_factory=set, compare=False)


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


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """What makes a row of `ticket_documents`; `subject` and `body` are kept as lexemes only.

    `erased`: nothing but what an erased person's texts read as.
    """

    ticket_id: UUID
    sequence: int
    kind: MessageSide
    person_id: UUID
    written_at: datetime
    erased: bool
    subject: str
    body: str


@dataclass(slots=True)
class DecisionRow:
    """A row of `routing_decisions` as routing tells it; `decision_id` is the offer's id, else the event's."""

    decision_id: UUID
    ticket_id: UUID
    kind: DecisionKind
    decided_at: datetime
    event_id: UUID
    assignment_no: int
    attempt: int | None = None
    queue_id: UUID | None = None
    operator_id: UUID | None = None
    offer_id: UUID | None = None
    reason: str | None = None
    candidates: list[Any] = field(default_factory=list)
    basis: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """The part of a row of `routing_decisions` that tickets tells: what became of the decision."""

    decision_id: UUID
    ticket_id: UUID
    outcome: DecisionOutcome
    outcome_reason: str | None
    outcome_at: datetime


ClockKey = tuple[UUID, ClockName, int]
"""(ticket, clock, cycle)"""


@dataclass(slots=True)
class ClockRow:
    """A row of `sla_outcomes`, all told by sla; `breached_at` is the due moment that passed unmet."""

    ticket_id: UUID
    clock: ClockName
    cycle: int
    generation: int
    state: ClockState
    policy_id: UUID
    policy_version: int
    calendar_id: UUID
    calendar_version: int
    target_seconds: int
    started_at: datetime
    due_at: datetime
    met_at: datetime | None = None
    paused_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    elapsed_seconds: int | None = None
    breached: bool = False
    breached_at: datetime | None = None
    pauses: int = 0
    recalculated: int = 0
    warned_steps: list[str] = field(default_factory=list)

    @property
    def key(self) -> ClockKey:
        """Its place in the table."""
        return self.ticket_id, self.clock, self.cycle


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """A row of `notifications`: what became of one, by its latest event."""

    notification_id: UUID
    ticket_id: UUID
    event_id: UUID
    kind: str
    channel: str
    recipient_kind: str
    recipient_id: UUID
    reply_id: UUID | None
    state: Literal["sent", "failed"]
    reason: str | None
    told_at: datetime


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


@dataclass(slots=True)
class LoadRow:
    """What one batch adds to a row of `operator_load`."""

    offered: int = 0
    accepted: int = 0
    declined: int = 0
    timed_out: int = 0
    replies: int = 0
    resolved: int = 0


FlowKey = tuple[datetime, UUID]
"""(start of the quarter of an hour, line)"""

LoadKey = tuple[date, UUID]
"""(day in UTC, operator)"""


@dataclass(frozen=True, slots=True)
class LineRow:
    """A row of `lines`, as the latest of intake's events tells it: latest by time, then by event id."""

    line_id: UUID
    name: str
    channel: str
    language: str
    told_at: datetime
    told_by: UUID


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """A row of `operators`; the name is personal."""

    operator_id: UUID
    version: int
    changed_at: datetime
    name: str
    language: str
    employed: bool
    team_ids: list[UUID]
    skills: list[str]
    capacity: float


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A row of `teams`."""

    team_id: UUID
    version: int
    changed_at: datetime
    name: str
    lead_ids: list[UUID]
    active: bool


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A row of `queues`."""

    queue_id: UUID
    version: int
    changed_at: datetime
    name: str
    team_id: UUID | None
    place: int
    conditions: dict[str, Any]
    fallback: bool
    strategy: str
    skills: list[str]
    accept_seconds: int
    active: bool


@dataclass(slots=True)
class Changes:
    """What a batch of events makes of the read models."""

    tickets: dict[UUID, TicketRow] = field(default_factory=dict)
    clocks: dict[ClockKey, ClockRow] = field(default_factory=dict)
    timeline: list[TimelineRow] = field(default_factory=list)
    documents: list[DocumentRow] = field(default_factory=list)
    decisions: dict[UUID, DecisionRow] = field(default_factory=dict)
    outcomes: dict[UUID, OutcomeRow] = field(default_factory=dict)
    notifications: dict[UUID, NotificationRow] = field(default_factory=dict)
    operators: dict[UUID, OperatorRow] = field(default_factory=dict)
    teams: dict[UUID, TeamRow] = field(default_factory=dict)
    queues: dict[UUID, QueueRow] = field(default_factory=dict)
    lines: dict[UUID, LineRow] = field(default_factory=dict)
    flow: dict[FlowKey, FlowRow] = field(default_factory=dict)
    load: dict[LoadKey, LoadRow] = field(default_factory=dict)
    fresh: dict[str, datetime] = field(default_factory=dict)

    def flow_at(self, moment: datetime, line_id: UUID) -> FlowRow:
        """The counts of the quarter of an hour that holds this moment."""
        return self.flow.setdefault((quarter_of(moment), line_id), FlowRow())

    def load_of(self, operator_id: UUID, moment: datetime) -> LoadRow:
        """The counts of an operator on the day (UTC) that holds this moment."""
        return self.load.setdefault((moment.date(), operator_id), LoadRow())


def quarter_of(moment: datetime) -> datetime:
    """The start of its quarter of an hour: every zone in use today is off UTC by whole quarters."""
    return moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)
