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
Version = Annotated[int, Field(ge=1, description="1, and one more with each change")]
ActionKind = Literal["escalate", "raise_priority"]
RecipientKind = Literal["assignee", "team_lead", "customer"]
Name = Annotated[str, Field(min_length=1, max_length=100, description="name, for people")]

WhichClock = Annotated[ClockName, Field(description="which of the ticket's clocks")]
Due = Annotated[datetime, Field(description="when the clock is breached unless it is met before")]
Actions = Annotated[tuple[ActionKind, ...], Field(description="what tickets does with the ticket then")]
Recipients = Annotated[tuple[RecipientKind, ...], Field(description="whom notify tells")]
StepDue = Annotated[datetime, Field(description="the step's moment; it may be told of later")]


class Basis(Value):
    """What a clock is measured by; policy and calendar in these versions give the same moments for ever."""

    policy_id: Annotated[UUID, Field(description="the policy, as in PolicyChanged")]
    policy_version: Annotated[Version, Field(description="version of the policy")]
    calendar_id: Annotated[UUID, Field(description="the calendar, as in CalendarChanged")]
    calendar_version: Annotated[Version, Field(description="version of the calendar")]
    target_seconds: Annotated[int, Field(ge=1, description="business seconds that the clock has")]


class ClockStarted(Fact):
    """A clock runs."""

    TYPE: ClassVar[str] = "deskline.sla.ClockStarted.v1"

    clock: WhichClock
    cycle: Cycle
    generation: Generation
    started_at: Annotated[datetime, Field(description="since when it runs")]
    due_at: Due
    basis: Annotated[Basis, Field(description="what it is measured by")]
    circumstances: Annotated[Circumstances, Field(description="the ticket as the policy was chosen for it")]


class ClockPaused(Fact):
    """A clock stands still; nothing is due meanwhile."""

    TYPE: ClassVar[str] = "deskline.sla.ClockPaused.v1"

    clock: WhichClock
    cycle: Cycle
    generation: Generation
    paused_at: Annotated[datetime, Field(description="since when it stands still")]
    elapsed_seconds: Seconds
    reason: Annotated[Literal["waiting_customer"], Field(description="what it waits for")]


class ClockResumed(Fact):
    """A clock runs again, with a new due moment."""

    TYPE: ClassVar[str] = "deskline.sla.ClockResumed.v1"

    clock: WhichClock
    cycle: Cycle
    generation: Generation
    resumed_at: Annotated[datetime, Field(description="since when it runs again")]
    due_at: Due


class ClockMet(Fact):
    """What the clock waited for happened; `breached` says that it came after due."""

    TYPE: ClassVar[str] = "deskline.sla.ClockMet.v1"

    clock: WhichClock
    cycle: Cycle
    generation: Generation
    met_at: Annotated[datetime, Field(description="when it happened")]
    due_at: Annotated[datetime, Field(description="when it was due")]
    elapsed_seconds: Seconds
    breached: Annotated[bool, Field(description="it happened after due")]


class ClockCancelled(Fact):
    """The clock has nothing more to wait for: the ticket ended as merged, spam or abandoned."""

    TYPE: ClassVar[str] = "deskline.sla.ClockCancelled.v1"

    clock: WhichClock
    cycle: Cycle
    generation: Generation
    cancelled_at: Annotated[datetime, Field(description="when the ticket ended")]
    reason: Annotated[Code, Field(description="how the ticket ended")]


class SlaRecalculated(Fact):
    """A running clock got another target; what was consumed is kept, a breach that happened stays."""

    TYPE: ClassVar[str] = "deskline.sla.SlaRecalculated.v1"

    clock: WhichClock
    cycle: Cycle
    generation: Generation
    before: Annotated[Basis, Field(description="what it was measured by")]
    before_due_at: Annotated[datetime, Field(description="when it was due until then")]
    basis: Annotated[Basis, Field(description="what it is measured by now")]
    due_at: Due
    reason: Annotated[
        Literal["priority", "level", "policy", "calendar", "company"], Field(description="what changed")
    ]
    actor: Annotated[Actor | None, Field(description="who changed it; null: nobody in particular")] = None


class Step(Value):
    """What is to happen at a moment of a clock, each once per (clock, cycle, step, generation).

    Exactly one of `percent` (of the target) and `seconds` (before due where negative, after it where
    positive, 0 at due) says when.
    """

    key: Annotated[Code, Field(description="name of the step, one of its clock's")]
    percent: Annotated[
        int | None, Field(ge=1, le=99, description="of the target, in percent; null: `seconds` says when")
    ] = None
    seconds: Annotated[
        int | None,
        Field(
            ge=-31_536_000,
            le=31_536_000,
            description="business seconds after due, before it where negative; null: `percent` says when",
        ),
    ] = None
    actions: Actions = ()
    recipients: Recipients = ()


class SlaWarned(Fact):
    """A step before the breach fired; tickets executes its actions, notify tells its recipients."""

    TYPE: ClassVar[str] = "deskline.sla.SlaWarned.v1"

    clock: WhichClock
    cycle: Cycle
    generation: Generation
    step: Annotated[Code, Field(description="key of the step, as in PolicyChanged")]
    step_due_at: StepDue
    due_at: Due
    actions: Actions = ()
    recipients: Recipients = ()


class SlaBreached(Fact):
    """A clock passed its due moment unmet, by all that was committed until then, or a step after it fired."""

    TYPE: ClassVar[str] = "deskline.sla.SlaBreached.v1"

    clock: WhichClock
    cycle: Cycle
    generation: Generation
    step: Annotated[Code, Field(description="`breach`, or the key of a step after it")]
    step_due_at: StepDue
    due_at: Annotated[datetime, Field(description="when it was due")]
    actions: Actions = ()
    recipients: Recipients = ()
    forecast_at: Annotated[
        datetime | None, Field(description="when the customer may expect it now; null: nothing is promised")
    ] = None


class Target(Value):
    """Business seconds that a clock has at a priority."""

    clock: WhichClock
    priority: Annotated[Priority, Field(description="priority of the ticket")]
    seconds: Annotated[int, Field(ge=1, description="business seconds, by the policy's calendar")]


class PolicyChanged(Fact):
    """A policy in a new version; the stream is its id. The first match by `order` (then by id) is taken."""

    TYPE: ClassVar[str] = "deskline.sla.PolicyChanged.v1"

    policy_id: Annotated[UUID, Field(description="id of the policy")]
    version: Version
    name: Name
    order: Annotated[int, Field(ge=0, description="place among the policies, the lowest first")]
    conditions: Annotated[Conditions, Field(description="tickets that it is for")]
    calendar_id: Annotated[UUID, Field(description="whose business time its clocks count")]
    targets: Annotated[tuple[Target, ...], Field(description="one per clock and priority")]
    steps: Annotated[
        dict[ClockName, tuple[Step, ...]], Field(description="per clock; the breach itself is step `breach`")
    ]
    active: Annotated[bool, Field(description="false: it is no longer used")] = True


class Interval(Value):
    """Business time of a day, in minutes from its midnight; `end` over 1440 runs past the next midnight."""

    start: Annotated[int, Field(ge=0, lt=1440, description="minutes from midnight, inclusive")]
    end: Annotated[int, Field(gt=0, le=2880, description="minutes from midnight, exclusive")]


class CalendarException(Value):
    """A day with other hours than its weekday's; no intervals: a holiday."""

    day: Annotated[date, Field(description="the day in the calendar's zone")]
    intervals: Annotated[tuple[Interval, ...], Field(description="its hours; empty: a holiday")] = ()


class CalendarChanged(Fact):
    """A calendar in a new version; the stream is its id."""

    TYPE: ClassVar[str] = "deskline.sla.CalendarChanged.v1"

    calendar_id: Annotated[UUID, Field(description="id of the calendar")]
    version: Version
    name: Name
    zone: Annotated[str, Field(max_length=64, description="IANA time zone")]
    always: Annotated[bool, Field(description="24/7: the week and the exceptions say nothing")] = False
    week: Annotated[
        tuple[tuple[Interval, ...], ...], Field(description="seven days from Monday; empty where `always`")
    ] = ()
    exceptions: Annotated[
        tuple[CalendarException, ...], Field(description="days with other hours than their weekday's")
    ] = ()
