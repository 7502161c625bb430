"""The shapes of sla: policies, calendars and a ticket's clocks."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from deskline_events.conditions import Conditions
from deskline_events.sla import CalendarException, ClockName, Interval, Step, Target
from deskline_gateway.api.contract.shared import BAD_CURSOR, UNKNOWN, Answered, Asked, Name, PageQuery, Shape

PolicyVersion = Annotated[int, Field(ge=1, description="raised by each change")]


class PolicyBody(Asked):
    """A policy as it should be; the first whose conditions hold, by `order`, measures a ticket."""

    name: Name
    order: Annotated[int, Field(ge=0)]
    conditions: Conditions = Conditions()
    calendar_id: UUID
    targets: list[Target]
    steps: Annotated[Mapping[ClockName, tuple[Step, ...]], Field(description="per clock")]
    active: bool = True


class Policy(Answered):
    """A policy in its newest version."""

    policy_id: UUID
    version: PolicyVersion
    name: str
    order: int
    conditions: Conditions
    calendar_id: UUID
    targets: list[Target]
    steps: dict[ClockName, list[Step]]
    active: bool


class PoliciesPage(Answered):
    """Policies."""

    items: list[Policy]
    next_cursor: str | None


class CalendarBody(Asked):
    """Business time as it should be; `week` and `exceptions` say nothing where it is always."""

    name: Name
    zone: Annotated[str, Field(max_length=64, description="IANA time zone")]
    always: bool = False
    week: Annotated[tuple[tuple[Interval, ...], ...], Field(description="seven days from Monday")] = ()
    exceptions: tuple[CalendarException, ...] = ()


class Calendar(Answered):
    """Business time in its newest version."""

    calendar_id: UUID
    version: PolicyVersion
    name: str
    zone: str
    always: bool
    week: list[list[Interval]]
    exceptions: list[CalendarException]


class CalendarsPage(Answered):
    """Calendars."""

    items: list[Calendar]
    next_cursor: str | None


class Clock(Answered):
    """A clock of a ticket as it stands."""

    clock: ClockName
    cycle: int
    state: Literal["running", "paused", "met", "breached", "cancelled"]
    due_at: AwareDatetime | None


class Clocks(Answered):
    """What a ticket is measured by."""

    ticket_id: UUID
    items: list[Clock]


SHAPES: Final[Mapping[str, Shape]] = {
    "list_policies": Shape("Policies", PoliciesPage, query=PageQuery, refusals=BAD_CURSOR),
    "read_policy": Shape("A policy", Policy, versioned=True, refusals=UNKNOWN),
    "put_policy": Shape("Add or change a policy", Policy, body=PolicyBody, versioned=True),
    "list_calendars": Shape("Calendars", CalendarsPage, query=PageQuery, refusals=BAD_CURSOR),
    "read_calendar": Shape("A calendar", Calendar, versioned=True, refusals=UNKNOWN),
    "put_calendar": Shape("Add or change a calendar", Calendar, body=CalendarBody, versioned=True),
    "read_clocks": Shape("A ticket's clocks", Clocks, refusals=UNKNOWN),
}
