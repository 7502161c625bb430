"""What sla answers, as models: the shapes of its HTTP contract."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from deskline_events.conditions import Conditions
from deskline_events.sla import ActionKind, Basis, ClockName, RecipientKind, Step, Target
from deskline_sla.domain.clock import Reason, State


class Answered(BaseModel):
    """Immutable, and silent about its content in errors."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class PolicyShown(Answered):
    """A policy in one of its versions."""

    policy_id: UUID
    version: int
    name: str
    order: int
    conditions: Conditions
    calendar_id: UUID
    targets: list[Target]
    steps: dict[ClockName, list[Step]]
    active: bool
    put_at: datetime


class PolicyPage(Answered):
    """By order, then id; `next_cursor` leads to the following page, null on the last."""

    items: list[PolicyShown]
    next_cursor: str | None


WallClock = Annotated[str, Field(pattern=r"^\d\d:\d\d$", description="HH:MM; over 24:00 past midnight")]


class HoursShown(Answered):
    """Business time of a day."""

    start: WallClock
    end: WallClock


class ExceptionShown(Answered):
    """A day with other hours than its weekday's; none: a holiday."""

    day: date
    intervals: list[HoursShown]


class CalendarShown(Answered):
    """A calendar in one of its versions."""

    calendar_id: UUID
    version: int
    name: str
    zone: str
    always: bool
    week: list[list[HoursShown]]
    exceptions: list[ExceptionShown]
    put_at: datetime


class CalendarPage(Answered):
    """By id; `next_cursor` leads to the following page, null on the last."""

    items: list[CalendarShown]
    next_cursor: str | None


class PutDone(Answered):
    """What was put has this version now."""

    id: UUID
    version: int


class SegmentShown(Answered):
    """A span of running or pausing, in UTC; until null: it lasts."""

    kind: Literal["run", "pause"]
    reason: Reason
    since: datetime
    until: datetime | None
    business_seconds: int = Field(description="of running, up to now; 0 of a pause")


class StepShown(Answered):
    """A step of a clock; `at` is null where it has no moment, as while the clock stands still."""

    key: str
    at: datetime | None
    fired_at: datetime | None
    actions: list[ActionKind]
    recipients: list[RecipientKind]


class ClockShown(Answered):
    """A clock as it is now; `due_at` of a paused one is when it would be due had it not been paused."""

    clock: ClockName
    cycle: int
    generation: int
    state: State
    started_at: datetime
    due_at: datetime
    ended_at: datetime | None
    breached: bool
    elapsed_seconds: int
    left_seconds: int = Field(description="business seconds to the target; below 0 once it is passed")
    basis: Basis
    policy: str
    calendar: str
    segments: list[SegmentShown]
    steps: list[StepShown]


class ClocksShown(Answered):
    """A ticket's clocks, oldest first, by the database's clock at `as_of`."""

    ticket_id: UUID
    as_of: datetime
    clocks: list[ClockShown]
