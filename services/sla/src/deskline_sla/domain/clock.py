"""A clock: its segments of running and pausing, what was consumed, and when it is due."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from deskline_events.sla import Basis, ClockName
from deskline_sla.domain.business_time import BusinessTime
from deskline_sla.domain.rules import RuleBook

State = Literal["running", "paused", "met", "cancelled"]
Reason = Literal[
    "opened", "reopened", "resumed", "waiting_customer", "priority", "level", "policy", "calendar", "company"
]

_ZERO: Final = timedelta()


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of running or pausing, in UTC; business time is counted by this version of a calendar."""

    kind: Literal["run", "pause"]
    reason: Reason
    since: datetime
    until: datetime | None
    calendar_id: UUID
    calendar_version: int


@dataclass(frozen=True, slots=True)
class FiredStep:
    """A step that was announced."""

    key: str
    generation: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock of a ticket in one cycle, as it was announced.

    `due_at` of a paused one is when it would be due had it not been paused. `breached_since` is the due
    moment that it passed, whatever its target became afterwards.
    """

    name: ClockName
    cycle: int
    generation: int
    state: State
    basis: Basis
    due_at: datetime
    segments: tuple[Segment, ...]
    ended_at: datetime | None = None
    breached_since: datetime | None = None
    fired: tuple[FiredStep, ...] = ()

    @property
    def started_at(self) -> datetime:
        """When it began to run."""
        return self.segments[0].since

    @property
    def is_open(self) -> bool:
        """Whether it still waits for something."""
        return self.state in {"running", "paused"}

    @property
    def target(self) -> timedelta:
        """Business time that it has."""
        return timedelta(seconds=self.basis.target_seconds)

    @property
    def runs(self) -> Iterator[Segment]:
        """Its segments of running."""
        return (segment for segment in self.segments if segment.kind == "run")


def start_clock(
    name: ClockName, cycle: int, basis: Basis, book: RuleBook, *, at: datetime, reason: Reason
) -> Clock:
    """A clock that runs from a moment on; raises NoBusinessTimeError."""
    segment = Segment("run", reason, at, None, basis.calendar_id, basis.calendar_version)
    clock = Clock(name, cycle, 1, "running", basis, at, (segment,))
    return replace(clock, due_at=moment_of(clock, clock.target, book))


def pause_clock(clock: Clock, at: datetime) -> Clock:
    """The running clock stands still from a moment on."""
    passed = _passed(clock, at)
    segments = _until(passed.segments, at)
    end = segments[-1].until or at
    pause = Segment(
        "pause",
        "waiting_customer",
        end,
        None,
        clock.basis.calendar_id,
        clock.basis.calendar_version,
    )
    return replace(passed, state="paused", segments=(*segments, pause))


def resume_clock(clock: Clock, at: datetime, book: RuleBook) -> Clock:
    """The paused clock runs again, in the next generation; raises NoBusinessTimeError."""
    clock = _passed(clock, at)
    segments = _until(clock.segments, at)
    basis = clock.basis
    since = segments[-1].until or at
    run = Segment("run", "resumed", since, None, basis.calendar_id, basis.calendar_version)
    resumed = replace(clock, state="running", generation=clock.generation + 1, segments=(*segments, run))
    return replace(resumed, due_at=moment_of(resumed, resumed.target, book))


def meet_clock(clock: Clock, at: datetime, book: RuleBook) -> Clock:
    """What the open clock waited for happened; one that was paused is due as if it ran on from there."""
    passed = _passed(clock, at)
    due_at = clock.due_at
    if clock.state == "paused" and passed.breached_since is None:
        left = max(_ZERO, clock.target - elapsed_of(clock, at, book))
        due_at = _time_of(clock, book).after(max(at, clock.segments[-1].since), left)
    return replace(passed, state="met", ended_at=at, due_at=due_at, segments=_until(passed.segments, at))


def cancel_clock(clock: Clock, at: datetime) -> Clock:
    """The open clock has nothing more to wait for."""
    passed = _passed(clock, at)
    return replace(passed, state="cancelled", ended_at=at, segments=_until(passed.segments, at))


def recalculate_clock(clock: Clock, basis: Basis, book: RuleBook, *, at: datetime, reason: Reason) -> Clock:
    """The open clock by another basis, in the next generation: what was consumed is kept.

    Raises NoBusinessTimeError.
    """
    passed = _passed(clock, at)
    segments = passed.segments
    if clock.state == "running":
        since = max(at, segments[-1].since)
        segments = _until(segments, since)
        run = Segment("run", reason, since, None, basis.calendar_id, basis.calendar_version)
        segments = (*segments, run)
    moved = replace(passed, basis=basis, generation=clock.generation + 1, segments=segments)
    return replace(moved, due_at=moment_of(moved, moved.target, book))


def elapsed_of(clock: Clock, at: datetime, book: RuleBook) -> timedelta:
    """Business time that a clock has consumed by a moment."""
    total = _ZERO
    for run in clock.runs:
        time = book.calendars[run.calendar_id, run.calendar_version]
        total += time.elapsed(run.since, at if run.until is None else min(run.until, at))
    return total


def moment_of(clock: Clock, consumed: timedelta, book: RuleBook) -> datetime:
    """When a clock had, or running on will have, consumed so much; raises NoBusinessTimeError."""
    left = consumed
    last = clock.segments[0]
    for run in clock.runs:
        time = book.calendars[run.calendar_id, run.calendar_version]
        counted = None if run.until is None else time.elapsed(run.since, run.until)
        if counted is None or counted >= left:
            return time.after(run.since, left)
        left -= counted
        last = run
    return _time_of(clock, book).after(last.until or last.since, left)


def forecast_of(clock: Clock, now: datetime, book: RuleBook) -> datetime:
    """What a customer is promised for a clock that is late: half its target again, from when it was due.

    From now on, where that is later: nobody is promised a moment that has passed. In whole seconds.
    """
    forecast = _time_of(clock, book).after(max(clock.due_at, now), clock.target / 2)
    return forecast.replace(microsecond=0) + timedelta(seconds=bool(forecast.microsecond))


def _time_of(clock: Clock, book: RuleBook) -> BusinessTime:
    return book.calendars[clock.basis.calendar_id, clock.basis.calendar_version]


def _passed(clock: Clock, at: datetime) -> Clock:
    """The clock with its breach noted, if it ran past its due moment; what is at that moment is in time."""
    # A paused one may have been given a target that it had consumed before.
    ran_until = at if clock.state == "running" else clock.segments[-1].since
    if clock.breached_since is None and ran_until > clock.due_at:
        return replace(clock, breached_since=clock.due_at)
    return clock


def _until(segments: tuple[Segment, ...], at: datetime) -> tuple[Segment, ...]:
    """Segments cut at a moment; the first one stays, empty where the moment is before it."""
    first, *rest = segments
    kept = [first, *(segment for segment in rest if segment.since < at)]
    last = kept[-1]
    end = max(at, last.since)
    return (*kept[:-1], replace(last, until=end if last.until is None else min(last.until, end)))
