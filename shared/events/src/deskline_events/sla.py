"""Events that sla announces: clocks of a ticket under its id; policies and calendars under theirs."""

from datetime import date, datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.conditions import Circumstances, Conditions
from deskline_events.facts import Code, Fact, Priority, Value
from deskline_events.tickets import Actor

ClockName = Literal["first_response", "resolution"]
Cycle = Annotated[int, Field(ge=1, description="of the ticket; a reopening begins the next")]
Generation = Annotated[int, Field(ge=1, description="raised by whatever moves the clock's due moment")]
Seconds = Annotated[int, Field(ge=0, description="business seconds, by the calendar")]
Version = Annotated[int, Field(ge=1)]
ActionKind = Literal["escalate", "raise_priority"]
RecipientKind = Literal["assignee", "team_lead", "customer"]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Basis(Value):
    """What a clock is measured by; policy and calendar in these versions give the same moments for ever."""

    policy_id: UUID
    policy_version: Version
    calendar_id: UUID
    calendar_version: Version
    target_seconds: Annotated[int, Field(ge=1)]


class ClockStarted(Fact):
    """A clock runs."""

    TYPE: ClassVar[str] = "deskline.sla.ClockStarted.v1"

    clock: ClockName
    cycle: Cycle
    generation: Generation
    started_at: datetime
    due_at: datetime
    basis: Basis
    circumstances: Circumstances


class ClockPaused(Fact):
    """A clock stands still; nothing is due meanwhile."""

    TYPE: ClassVar[str] = "deskline.sla.ClockPaused.v1"

    clock: ClockName
    cycle: Cycle
    generation: Generation
    paused_at: datetime
    elapsed_seconds: Seconds
    reason: Literal["waiting_customer"]


class ClockResumed(Fact):
    """A clock runs again, with a new due moment."""

    TYPE: ClassVar[str] = "deskline.sla.ClockResumed.v1"

    clock: ClockName
    cycle: Cycle
    generation: Generation
    resumed_at: datetime
    due_at: datetime


class ClockMet(Fact):
    """What the clock waited for happened; `breached` says that it came after due."""

    TYPE: ClassVar[str] = "deskline.sla.ClockMet.v1"

    clock: ClockName
    cycle: Cycle
    generation: Generation
    met_at: datetime
    due_at: datetime
    elapsed_seconds: Seconds
    breached: bool


class ClockCancelled(Fact):
    """The clock has nothing more to wait for: the ticket ended as merged, spam or abandoned."""

    TYPE: ClassVar[str] = "deskline.sla.ClockCancelled.v1"

    clock: ClockName
    cycle: Cycle
    generation: Generation
    cancelled_at: datetime
    reason: Code


class SlaRecalculated(Fact):
    """A running clock got another target; what was consumed is kept, a breach that happened stays."""

    TYPE: ClassVar[str] = "deskline.sla.SlaRecalculated.v1"

    clock: ClockName
    cycle: Cycle
    generation: Generation
    before: Basis
    before_due_at: datetime
    basis: Basis
    due_at: datetime
    reason: Literal["priority", "level", "policy", "calendar", "company"]
    actor: Actor | None = None


class Step(Value):
    """What is to happen at a moment of a clock, each once per (clock, cycle, step, generation).

    Exactly one of `percent` (of the target) and `seconds` (before due where negative, after it where
    positive, 0 at due) says when.
    """

    key: Code
    percent: Annotated[int, Field(ge=1, le=99)] | None = None
    seconds: Annotated[int, Field(ge=-31_536_000, le=31_536_000)] | None = None
    actions: tuple[ActionKind, ...] = ()
    recipients: tuple[RecipientKind, ...] = ()


class SlaWarned(Fact):
    """A step before the breach fired; tickets executes its actions, notify tells its recipients."""

    TYPE: ClassVar[str] = "deskline.sla.SlaWarned.v1"

    clock: ClockName
    cycle: Cycle
    generation: Generation
    step: Code
    step_due_at: datetime
    due_at: datetime
    actions: tuple[ActionKind, ...] = ()
    recipients: tuple[RecipientKind, ...] = ()


class SlaBreached(Fact):
    """A clock passed its due moment unmet, by all that was committed until then, or a step after it fired."""

    TYPE: ClassVar[str] = "deskline.sla.SlaBreached.v1"

    clock: ClockName
    cycle: Cycle
    generation: Generation
    step: Code
    step_due_at: datetime
    due_at: datetime
    actions: tuple[ActionKind, ...] = ()
    recipients: tuple[RecipientKind, ...] = ()
    forecast_at: Annotated[datetime | None, Field(description="when the customer may expect it now")] = None


class Target(Value):
    """Business seconds that a clock has at a priority."""

    clock: ClockName
    priority: Priority
    seconds: Annotated[int, Field(ge=1)]


class PolicyChanged(Fact):
    """A policy in a new version; the stream is its id. The first match by `order` (then by id) is taken."""

    TYPE: ClassVar[str] = "deskline.sla.PolicyChanged.v1"

    policy_id: UUID
    version: Version
    name: Name
    order: Annotated[int, Field(ge=0)]
    conditions: Conditions
    calendar_id: UUID
    targets: tuple[Target, ...]
    steps: Annotated[
        dict[ClockName, tuple[Step, ...]], Field(description="per clock; the breach itself is step `breach`")
    ]
    active: bool = True


class Interval(Value):
    """Business time of a day, in minutes from its midnight; `end` over 1440 runs past the next midnight."""

    start: Annotated[int, Field(ge=0, lt=1440)]
    end: Annotated[int, Field(gt=0, le=2880)]


class CalendarException(Value):
    """A day with other hours than its weekday's; no intervals: a holiday."""

    day: date
    intervals: tuple[Interval, ...] = ()


class CalendarChanged(Fact):
    """A calendar in a new version; the stream is its id."""

    TYPE: ClassVar[str] = "deskline.sla.CalendarChanged.v1"

    calendar_id: UUID
    version: Version
    name: Name
    zone: Annotated[str, Field(max_length=64, description="IANA time zone")]
    always: Annotated[bool, Field(description="24/7: the week and the exceptions say nothing")] = False
    week: Annotated[
        tuple[tuple[Interval, ...], ...], Field(description="seven days from Monday; empty where `always`")
    ] = ()
    exceptions: tuple[CalendarException, ...] = ()
