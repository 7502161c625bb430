"""The shapes of sla: policies, calendars and a ticket's clocks."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from deskline_events.conditions import Conditions
from deskline_events.sla import ActionKind, Basis, ClockName, RecipientKind, Step, Target
from deskline_gateway.api.contract.shared import BAD_CURSOR, UNKNOWN, Answered, Asked, Name, PageQuery, Shape

RuleVersion = Annotated[int, Field(ge=1, description="raised by each change")]
ApplyToOpen = Annotated[bool, Field(description="recalculate the clocks that run")]
WallClock = Annotated[str, Field(pattern=r"^\d\d:\d\d$", description="HH:MM; over 24:00 past midnight")]


class VersionQuery(Asked):
    """An earlier version."""

    version: RuleVersion | None = None


class PolicyBody(Asked):
    """A policy as it should be; the first whose conditions hold, by `order`, measures a ticket."""

    name: Name
    order: Annotated[int, Field(ge=0)]
    conditions: Conditions = Conditions()
    calendar_id: UUID
    targets: Annotated[tuple[Target, ...], Field(max_length=8, description="per clock and priority")]
    steps: Annotated[Mapping[ClockName, tuple[Step, ...]], Field(default_factory=dict)]
    active: bool = True
    apply_to_open: ApplyToOpen = False


class Policy(Answered):
    """A policy in one of its versions."""

    policy_id: UUID
    version: RuleVersion
    name: str
    order: int
    conditions: Conditions
    calendar_id: UUID
    targets: list[Target]
    steps: dict[ClockName, list[Step]]
    active: bool
    put_at: AwareDatetime


class PoliciesPage(Answered):
    """Policies by order, then id."""

    items: list[Policy]
    next_cursor: str | None


class Hours(Asked):
    """Business time of a day."""

    start: WallClock
    end: WallClock


class OtherDay(Asked):
    """A day with other hours than its weekday's; none: a holiday."""

    day: date
    intervals: tuple[Hours, ...] = ()


class CalendarBody(Asked):
    """Business time as it should be; `week` and `exceptions` say nothing where it is always."""

    name: Name
    zone: Annotated[str, Field(max_length=64, description="IANA time zone")]
    always: bool = False
    week: Annotated[
        tuple[tuple[Hours, ...], ...], Field(max_length=7, description="seven days from Monday")
    ] = ()
    exceptions: Annotated[tuple[OtherDay, ...], Field(max_length=1000)] = ()
    apply_to_open: ApplyToOpen = False


class Calendar(Answered):
    """Business time in one of its versions."""

    calendar_id: UUID
    version: RuleVersion
    name: str
    zone: str
    always: bool
    week: list[list[Hours]]
    exceptions: list[OtherDay]
    put_at: AwareDatetime


class CalendarsPage(Answered):
    """Calendars by id."""

    items: list[Calendar]
    next_cursor: str | None


class PutDone(Answered):
    """What was put has this version now; 201 where it is new."""

    id: UUID
    version: RuleVersion


class Segment(Answered):
    """A span of running or pausing, in UTC; until null: it lasts."""

    kind: Literal["run", "pause"]
    reason: str
    since: AwareDatetime
    until: AwareDatetime | None
    business_seconds: int


class ClockStep(Answered):
    """A step of a clock; `at` is null where it has no moment."""

    key: str
    at: AwareDatetime | None
    fired_at: AwareDatetime | None
    actions: list[ActionKind]
    recipients: list[RecipientKind]


class Clock(Answered):
    """A clock of a ticket as it stands."""

    clock: ClockName
    cycle: int
    generation: int
    state: str
    started_at: AwareDatetime
    due_at: AwareDatetime
    ended_at: AwareDatetime | None
    breached: bool
    elapsed_seconds: int
    left_seconds: Annotated[int, Field(description="business seconds; below 0 once it is passed")]
    basis: Basis
    policy: str
    calendar: str
    segments: list[Segment]
    steps: list[ClockStep]


class Clocks(Answered):
    """What a ticket is measured by, the oldest first."""

    ticket_id: UUID
    as_of: AwareDatetime
    clocks: list[Clock]


SHAPES: Final[Mapping[str, Shape]] = {
    "list_policies": Shape("Policies", PoliciesPage, query=PageQuery, refusals=BAD_CURSOR),
    "read_policy": Shape("A policy", Policy, query=VersionQuery, versioned=True, refusals=UNKNOWN),
    "put_policy": Shape("Add or change a policy", PutDone, body=PolicyBody, versioned=True),
    "list_calendars": Shape("Calendars", CalendarsPage, query=PageQuery, refusals=BAD_CURSOR),
    "read_calendar": Shape("A calendar", Calendar, query=VersionQuery, versioned=True, refusals=UNKNOWN),
    "put_calendar": Shape("Add or change a calendar", PutDone, body=CalendarBody, versioned=True),
    "read_clocks": Shape("A ticket's clocks", Clocks, refusals=UNKNOWN),
}
