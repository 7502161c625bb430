"""Checking: whether a policy or a calendar can be worked with, before it is kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import ClassVar, Final, get_args
from zoneinfo import available_timezones

from deskline_events.conditions import Conditions
from deskline_events.facts import Priority
from deskline_events.sla import CalendarChanged, ClockName, Interval, PolicyChanged, Step
from deskline_sla.domain.business_time import BusinessTime, NoBusinessTimeError
from deskline_sla.domain.defaults import DEFAULT_POLICY_ID
from deskline_sla.domain.rules import BREACH, CLOCKS, RuleBook

WEEK: Final = 7
_DAY_MINUTES: Final = 1440
# Names that stand for whatever the machine is set to.
_LOCAL_NAMES: Final = frozenset({"localtime", "Factory"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and in which field."""

    field: str
    message: str


class RulesRefused(Exception):  # noqa: N818 -- an answer of the domain, not an error of the program
    """A policy or calendar that can't be worked with; nothing was kept."""

    safe_message: ClassVar[bool] = True

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


def check_calendar(calendar: CalendarChanged, now: datetime) -> None:
    """Raise RulesRefused unless the calendar is in order and has business time in 400 days from now."""
    faults = list(_calendar_faults(calendar))
    if not faults:
        try:
            BusinessTime(calendar).next_moment(now.astimezone(UTC))
        except NoBusinessTimeError:
            faults.append(Fault("week", "There is no business time in the next 400 days"))
    if faults:
        raise RulesRefused(faults)


def check_policy(policy: PolicyChanged, book: RuleBook, now: datetime) -> None:
    """Raise RulesRefused unless the policy is in order and its targets can be reached from now."""
    faults = list(_policy_faults(policy))
    calendar = book.calendar(policy.calendar_id)
    if calendar is None:
        faults.append(Fault("calendar_id", "There is no such calendar"))
    elif not faults:
        time = book.calendars[calendar.calendar_id, calendar.version]
        try:
            time.after(now.astimezone(UTC), _furthest(policy))
        except NoBusinessTimeError:
            faults.append(Fault("targets", "The calendar has too little business time for these targets"))
    if faults:
        raise RulesRefused(faults)


@cache
def known_zones() -> frozenset[str]:
    """IANA zones that can be named in a calendar."""
    return frozenset(available_timezones()) - _LOCAL_NAMES


def _calendar_faults(calendar: CalendarChanged) -> Iterator[Fault]:
    if calendar.zone not in known_zones():
        yield Fault("zone", "There is no such IANA time zone")
    if calendar.always:
        if calendar.week or calendar.exceptions:
            yield Fault("always", "A calendar that always runs has no week and no exceptions")
        return
    if len(calendar.week) != WEEK:
        yield Fault("week", "Give seven days, from Monday")
        return
    for number, intervals in enumerate(calendar.week):
        yield from _day_faults(f"week.{number}", intervals, calendar.week[(number + 1) % WEEK])
    days = {exception.day: exception.intervals for exception in calendar.exceptions}
    if len(days) != len(calendar.exceptions):
        yield Fault("exceptions", "A day is named twice")
    for number, exception in enumerate(calendar.exceptions):
        before, after = exception.day - timedelta(days=1), exception.day + timedelta(days=1)
        following = days.get(after, calendar.week[after.weekday()])
        yield from _day_faults(f"exceptions.{number}", exception.intervals, following)
        if before not in days and _reaches(calendar.week[before.weekday()], exception.intervals):
            yield Fault(f"exceptions.{number}", "The day before runs past midnight into it")


def _day_faults(field: str, intervals: Sequence[Interval], following: Sequence[Interval]) -> Iterator[Fault]:
    if any(interval.start >= interval.end for interval in intervals):
        yield Fault(field, "An interval ends before it begins")
        return
    ordered = sorted(intervals, key=lambda interval: interval.start)
    if any(one.end > other.start for one, other in pairwise(ordered)):
        yield Fault(field, "Intervals overlap")
    if _reaches(intervals, following):
        yield Fault(field, "An interval runs past midnight into one of the day after")


def _reaches(intervals: Sequence[Interval], following: Sequence[Interval]) -> bool:
    last = max((interval.end for interval in intervals), default=0) - _DAY_MINUTES
    return any(interval.start < last for interval in following)


def _policy_faults(policy: PolicyChanged) -> Iterator[Fault]:
    for clock in CLOCKS:
        priorities = [target.priority for target in policy.targets if target.clock == clock]
        if not priorities:
            yield Fault("targets", f"There is no target for {clock}")
        if len(set(priorities)) != len(priorities):
            yield Fault("targets", f"A priority has two targets for {clock}")
        yield from _step_faults(clock, policy.steps.get(clock, ()))
    if policy.policy_id == DEFAULT_POLICY_ID:
        wanted = len(CLOCKS) * len(get_args(Priority))
        if policy.conditions != Conditions() or not policy.active or len(policy.targets) < wanted:
            yield Fault(
                "policy_id", "The default policy is active, has no conditions and a target for everything"
            )


def _step_faults(clock: ClockName, steps: Sequence[Step]) -> Iterator[Fault]:
    if len({step.key for step in steps}) != len(steps):
        yield Fault(f"steps.{clock}", "A step's key is used twice")
    for number, step in enumerate(steps):
        field = f"steps.{clock}.{number}"
        if (step.percent is None) == (step.seconds is None):
            yield Fault(field, "Give either percent or seconds")
        elif step.key == BREACH and step.seconds != 0:
            yield Fault(field, "The step `breach` is at due: seconds 0")


def _furthest(policy: PolicyChanged) -> timedelta:
    """Business time from the start of a clock to the last thing that may be asked of its calendar."""
    last = timedelta()
    for target in policy.targets:
        later = max((step.seconds or 0 for step in policy.steps.get(target.clock, ())), default=0)
        # A forecast is half the target after due.
        last = max(last, timedelta(seconds=target.seconds + max(later, target.seconds // 2 + 1)))
    return last
