"""Steps: what of a clock is to fire when, and what its firing announces."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from deskline_events.sla import ClockName, SlaBreached, SlaWarned, Step
from deskline_sla.domain.business_time import NoBusinessTimeError
from deskline_sla.domain.clock import Clock, FiredStep, forecast_of, moment_of
from deskline_sla.domain.rules import BREACH, RuleBook

STEP_KIND: Final = "sla_step"
"""The kind of deadline that is a step of a clock."""

_SEPARATOR: Final = "/"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a clock with its moment; `late` says that it is at or after due, a breach."""

    step: Step
    at: datetime
    late: bool


@dataclass(frozen=True, slots=True)
class StepName:
    """Which step of which clock a deadline is about."""

    clock: ClockName
    cycle: int
    step: str

    def __str__(self) -> str:
        return f"{self.clock}{_SEPARATOR}{self.cycle}{_SEPARATOR}{self.step}"

    @classmethod
    def read(cls, key: str) -> "StepName":
        """The name in a deadline's key."""
        clock, cycle, step = key.split(_SEPARATOR)
        return cls("first_response" if clock == "first_response" else "resolution", int(cycle), step)


def planned_steps(clock: Clock, book: RuleBook) -> list[PlannedStep]:
    """The steps of a clock; those that would be before its start have no moment and are left out."""
    planned = []
    for step in book.steps(clock.name, clock.basis):
        position = _position(step, clock.target)
        if position <= timedelta():
            continue
        late = position >= clock.target
        if position == clock.target:
            # A breach that happened stays, whatever the target became since.
            at = clock.breached_since or clock.due_at
        else:
            at = moment_of(clock, position, book)
        planned.append(PlannedStep(step, at, late))
    return planned


def steps_to_arm(clock: Clock, at: datetime, book: RuleBook) -> list[PlannedStep]:
    """What is still to fire of a clock that moved at a moment.

    A breach fires once in a cycle, and follows even where the clock pauses after it. A warning is given
    again in a later generation only if its moment is still to come, and none while the clock stands still.
    """
    if not clock.is_open:
        return []
    fired = {one.key for one in clock.fired}
    planned = planned_steps(clock, book)
    if clock.state == "paused":
        stood_still = clock.segments[-1].since
        return [one for one in planned if one.late and one.step.key not in fired and one.at < stood_still]
    return [one for one in planned if _is_to_come(one, one.step.key in fired, clock, at)]


def _is_to_come(planned: PlannedStep, fired: bool, clock: Clock, at: datetime) -> bool:  # noqa: FBT001
    if planned.late:
        return not fired
    return planned.at > at or (not fired and clock.due_at > at)


def firing(
    clock: Clock, name: StepName, generation: int, now: datetime, book: RuleBook
) -> PlannedStep | None:
    """The step that a deadline of this generation is about, if it may still fire by now."""
    if not clock.is_open or clock.generation != generation:
        return None
    if any((one.key, one.generation) == (name.step, generation) for one in clock.fired):
        return None
    for planned in steps_to_arm(clock, clock.started_at, book):
        if planned.step.key == name.step and planned.at <= now:
            return planned
    return None


def fire_step(
    clock: Clock, planned: PlannedStep, now: datetime, book: RuleBook
) -> tuple[Clock, SlaWarned | SlaBreached]:
    """The clock with the step fired, and what is announced of it."""
    step = planned.step
    fired = replace(clock, fired=(*clock.fired, FiredStep(step.key, clock.generation, now)))
    if not planned.late:
        return fired, SlaWarned(
            clock=clock.name,
            cycle=clock.cycle,
            generation=clock.generation,
            step=step.key,
            step_due_at=planned.at,
            due_at=clock.due_at,
            actions=step.actions,
            recipients=step.recipients,
        )
    due_at = clock.breached_since or clock.due_at
    return replace(fired, breached_since=due_at), SlaBreached(
        clock=clock.name,
        cycle=clock.cycle,
        generation=clock.generation,
        step=step.key,
        step_due_at=planned.at,
        due_at=due_at,
        actions=step.actions,
        recipients=step.recipients,
        forecast_at=_forecast(clock, now, book) if "customer" in step.recipients else None,
    )


def _position(step: Step, target: timedelta) -> timedelta:
    """Business time from the start of a clock to a step."""
    if step.percent is not None:
        return target * step.percent / 100
    return target + timedelta(seconds=step.seconds or 0)


def _forecast(clock: Clock, now: datetime, book: RuleBook) -> datetime | None:
    try:
        return forecast_of(clock, now, book)
    except NoBusinessTimeError:
        # A calendar that ran out promises nothing, and the breach is told all the same.
        return None


def with_breach(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps with one that announces the breach, which no policy can leave out."""
    if any(step.key == BREACH for step in steps):
        return steps
    return (*steps, Step(key=BREACH, seconds=0))
