"""What people send: bodies and queries, checked before anything is done."""

import re
from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BeforeValidator, Field

from deskline_chassis.bodies import Body
from deskline_events.conditions import Tier
from deskline_events.facts import Channel, Code, Language, Level, Priority
from deskline_events.sla import (
    ActionKind,
    CalendarChanged,
    ClockName,
    Name,
    PolicyChanged,
    RecipientKind,
    Step,
)
from deskline_sla.domain.rules import CLOCKS
from deskline_sla.domain.steps import with_breach

YEAR_SECONDS: Final = 31_536_000
MAX_BIGINT: Final = 2**63 - 1
_MOST_NAMED: Final = 200
_MOST_STEPS: Final = 20
_MOST_INTERVALS: Final = 12
_MOST_EXCEPTIONS: Final = 1_000
_WALL_CLOCK: Final = re.compile(r"^([0-4][0-9]):([0-5][0-9])$")


def _minutes(value: Any) -> Any:
    """Minutes from midnight of `HH:MM`; a number is minutes already."""
    if isinstance(value, str):
        found = _WALL_CLOCK.match(value)
        if found is None:
            raise ValueError("give HH:MM, or minutes from midnight")
        return int(found.group(1)) * 60 + int(found.group(2))
    return value


Minutes = Annotated[int, BeforeValidator(_minutes)]


class ConditionsBody(Body):
    """All of it must hold; an empty list or null asks for nothing."""

    line_ids: Annotated[tuple[UUID, ...], Field(max_length=_MOST_NAMED)] = ()
    channels: Annotated[tuple[Channel, ...], Field(max_length=_MOST_NAMED)] = ()
    languages: Annotated[tuple[Language, ...], Field(max_length=_MOST_NAMED)] = ()
    levels: Annotated[tuple[Level, ...], Field(max_length=_MOST_NAMED)] = ()
    priorities: Annotated[tuple[Priority, ...], Field(max_length=_MOST_NAMED)] = ()
    tiers: Annotated[tuple[Tier, ...], Field(max_length=_MOST_NAMED)] = ()
    company_ids: Annotated[tuple[UUID, ...], Field(max_length=_MOST_NAMED)] = ()
    new_contact: bool | None = None
    verified: bool | None = None


class TargetBody(Body):
    clock: ClockName
    priority: Priority
    seconds: Annotated[int, Field(ge=1, le=YEAR_SECONDS, description="of business time")]


class StepBody(Body):
    """Exactly one of percent and seconds says when."""

    key: Code
    percent: Annotated[int, Field(ge=1, le=99)] | None = None
    seconds: Annotated[int, Field(ge=-YEAR_SECONDS, le=YEAR_SECONDS)] | None = None
    actions: Annotated[tuple[ActionKind, ...], Field(max_length=2)] = ()
    recipients: Annotated[tuple[RecipientKind, ...], Field(max_length=3)] = ()

    def step(self) -> Step:
        """The step, with each action and recipient once."""
        return Step(
            key=self.key,
            percent=self.percent,
            seconds=self.seconds,
            actions=tuple(dict.fromkeys(self.actions)),
            recipients=tuple(dict.fromkeys(self.recipients)),
        )


class PolicyBody(Body):
    """A policy as it is to be; `apply_to_open` recalculates the clocks that run."""

    name: Name
    order: Annotated[int, Field(ge=0, le=2**31 - 1)]
    conditions: ConditionsBody = ConditionsBody()
    calendar_id: UUID
    targets: Annotated[tuple[TargetBody, ...], Field(max_length=8)]
    steps: dict[ClockName, Annotated[tuple[StepBody, ...], Field(max_length=_MOST_STEPS)]] = Field({})
    active: bool = True
    apply_to_open: bool = False

    def policy(self, policy_id: UUID) -> PolicyChanged:
        """The policy, with a step for the breach on each clock; its version is given when it is put."""
        given = {clock: tuple(step.step() for step in steps) for clock, steps in self.steps.items()}
        fields = self.model_dump(exclude={"apply_to_open", "steps"})
        steps = {clock: with_breach(given.get(clock, ())) for clock in CLOCKS}
        return PolicyChanged.model_validate({"policy_id": policy_id, "version": 1, "steps": steps} | fields)


class HoursBody(Body):
    """Business time of a day: `HH:MM` or minutes from its midnight; an end over 24:00 is past midnight."""

    start: Annotated[Minutes, Field(ge=0, lt=1440)]
    end: Annotated[Minutes, Field(gt=0, le=2880)]


Hours = Annotated[tuple[HoursBody, ...], Field(max_length=_MOST_INTERVALS)]


class ExceptionBody(Body):
    day: date
    intervals: Hours = ()


class CalendarBody(Body):
    """A calendar as it is to be; `apply_to_open` recalculates the clocks that run by it."""

    name: Name
    zone: Annotated[str, Field(max_length=64)]
    always: bool = False
    week: Annotated[tuple[Hours, ...], Field(max_length=7)] = ()
    exceptions: Annotated[tuple[ExceptionBody, ...], Field(max_length=_MOST_EXCEPTIONS)] = ()
    apply_to_open: bool = False

    def calendar(self, calendar_id: UUID) -> CalendarChanged:
        """The calendar; its version is given when it is put."""
        fields = self.model_dump(exclude={"apply_to_open"})
        return CalendarChanged.model_validate({"calendar_id": calendar_id, "version": 1} | fields)


class NoQuery(Body):
    """No query parameters."""


class VersionQuery(Body):
    version: Annotated[int | None, Field(ge=1, le=MAX_BIGINT)] = None
