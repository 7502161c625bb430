"""Business time: how much of a span counts by a calendar, and when so much of it has passed.

A moment is business time if its wall clock in the calendar's zone lies within an interval of its day, or
within one of the day before that runs past midnight. So the hour that a change of the clocks repeats
counts twice, and the hour that it skips is not there.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from deskline_events.sla import CalendarChanged, Interval

LONGEST_GAP_DAYS: Final = 400
"""How far the next business moment is looked for."""

LONGEST_SEARCH_DAYS: Final = 3_660
"""How far the end of a span of business time is looked for."""

DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_ZERO: Final = timedelta()
_KEPT_DAYS: Final = 4_000

Window = tuple[datetime, datetime]
"""Business time without a break, in UTC; the end is not in it."""


class NoBusinessTimeError(Exception):
    """A calendar has no business time within reach of a moment: nothing can be due by it."""

    safe_message: ClassVar[bool] = True

    def __init__(self, calendar_id: UUID, version: int, after: datetime, days: int) -> None:
        super().__init__(
            f"calendar {calendar_id} in version {version} has too little business time"
            f" within {days} days after {after.isoformat()}"
        )


class BusinessTime:
    """A version of a calendar, ready to be asked; remembers the days it was asked for."""

    def __init__(self, calendar: CalendarChanged) -> None:
        self.calendar = calendar
        self._zone = ZoneInfo(calendar.zone)
        self._exceptions = {one.day: one.intervals for one in calendar.exceptions}
        self._days: dict[date, tuple[Window, ...]] = {}

    def elapsed(self, since: datetime, until: datetime) -> timedelta:
        """How much of a span is business time; nothing of one that ends before it begins."""
        if until <= since:
            return _ZERO
        if self.calendar.always:
            return until - since
        total = _ZERO
        for day in _days_from(since):
            if _midnight(day) >= until:
                break
            for begin, end in self._windows(day):
                total += max(_ZERO, min(end, until) - max(begin, since))
        return total

    def after(self, since: datetime, amount: timedelta) -> datetime:
        """The first moment by which so much business time has passed; raises NoBusinessTimeError."""
        if amount <= _ZERO:
            return since
        if self.calendar.always:
            return since + amount
        left = amount
        for begin, end in self._following(since):
            if end - begin >= left:
                return begin + left
            left -= end - begin
        raise AssertionError("the search ends by an error of its own")

    def next_moment(self, since: datetime) -> datetime:
        """The first business moment from `since` on; raises NoBusinessTimeError."""
        if self.calendar.always:
            return since
        begin, _ = next(self._following(since))
        return begin

    def _following(self, since: datetime) -> Iterator[Window]:
        """Business time from a moment on; raises NoBusinessTimeError where the search is at its bounds."""
        found_last = 0
        for number, day in enumerate(_days_from(since)):
            if number - found_last > LONGEST_GAP_DAYS:
                raise self._nothing(since, LONGEST_GAP_DAYS)
            if number > LONGEST_SEARCH_DAYS:
                raise self._nothing(since, LONGEST_SEARCH_DAYS)
            for begin, end in self._windows(day):
                if end > since:
                    found_last = number
                    yield max(begin, since), end

    def _nothing(self, since: datetime, days: int) -> NoBusinessTimeError:
        return NoBusinessTimeError(self.calendar.calendar_id, self.calendar.version, since, days)

    def _windows(self, day: date) -> tuple[Window, ...]:
        """Business time of a day of UTC, in order and without overlaps."""
        known = self._days.get(day)
        if known is None:
            if len(self._days) >= _KEPT_DAYS:
                self._days.clear()
            known = self._days[day] = self._find_windows(day)
        return known

    def _find_windows(self, day: date) -> tuple[Window, ...]:
        found: list[Window] = []
        for begin, end, offset in self._offsets(_midnight(day), _midnight(day) + DAY):
            wall_begin, wall_end = _wall(begin, offset), _wall(end, offset)
            # What began on the day before may run past midnight.
            local = wall_begin.date() - DAY
            while local <= wall_end.date():
                midnight = datetime.combine(local, time.min)
                for interval in self._hours(local):
                    opened = max(wall_begin, midnight + timedelta(minutes=interval.start))
                    closed = min(wall_end, midnight + timedelta(minutes=interval.end))
                    if opened < closed:
                        found.append((begin + (opened - wall_begin), begin + (closed - wall_begin)))
                local += DAY
        return _merged(found)

    def _hours(self, day: date) -> Sequence[Interval]:
        exception = self._exceptions.get(day)
        return self.calendar.week[day.weekday()] if exception is None else exception

    def _offsets(self, begin: datetime, end: datetime) -> list[tuple[datetime, datetime, timedelta]]:
        """A span in parts of one offset from UTC each; no zone changes twice within an hour."""
        parts: list[tuple[datetime, datetime, timedelta]] = []
        since, offset, moment = begin, self._offset(begin), begin
        while moment < end:
            later = min(moment + _HOUR, end)
            following = self._offset(later)
            if following != offset:
                changed = self._change(moment, later)
                parts.append((since, changed, offset))
                since, offset = changed, following
            moment = later
        if since < end:
            parts.append((since, end, offset))
        return parts

    def _change(self, before: datetime, after: datetime) -> datetime:
        offset = self._offset(before)
        while after - before > _SECOND:
            middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
            if self._offset(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or _ZERO


def _days_from(since: datetime) -> Iterator[date]:
    day = since.astimezone(UTC).date()
    while True:
        yield day
        day += DAY


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _wall(moment: datetime, offset: timedelta) -> datetime:
    return (moment + offset).replace(tzinfo=None)


def _merged(windows: list[Window]) -> tuple[Window, ...]:
    merged: list[Window] = []
    for begin, end in sorted(windows):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return tuple(merged)
