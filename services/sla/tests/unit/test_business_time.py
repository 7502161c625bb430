"""Business time against an oracle that looks at every minute, in zones that change their clocks oddly."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.sla.tests.kit import CALENDAR, holiday, office

from deskline_events.sla import CalendarChanged, CalendarException, Interval
from deskline_sla.domain.business_time import LONGEST_GAP_DAYS, BusinessTime, NoBusinessTimeError

pytestmark = pytest.mark.unit

MINUTE = timedelta(minutes=1)
# Around each of these days the zone changes its clocks; Tehran by half-hour offsets, Lord Howe by 30 minutes,
# Havana and Tehran at midnight, Apia left a whole day out, Moscow went back for good in 2014.
CHANGES = (
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Asia/Tehran", date(2022, 3, 22)),
    ("Asia/Tehran", date(2021, 9, 21)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("America/Havana", date(2026, 3, 8)),
    ("America/Havana", date(2026, 11, 1)),
    ("America/St_Johns", date(2006, 10, 29)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Europe/Moscow", date(2014, 10, 26)),
    ("Europe/Moscow", date(2026, 5, 9)),
)


def is_business(calendar: CalendarChanged, moment: datetime) -> bool:
    """By the definition: the wall clock lies in an interval of its day, or in one of the day before."""
    wall = moment.astimezone(ZoneInfo(calendar.zone)).replace(tzinfo=None)
    exceptions = {one.day: one.intervals for one in calendar.exceptions}
    for back in (0, 1):
        day = wall.date() - timedelta(days=back)
        minute = wall.hour * 60 + wall.minute + back * 1440
        hours = exceptions.get(day, calendar.week[day.weekday()])
        if any(interval.start <= minute < interval.end for interval in hours):
            return True
    return False


def minutes_of(calendar: CalendarChanged, since: datetime, until: datetime) -> list[datetime]:
    found, moment = [], since
    while moment < until:
        if is_business(calendar, moment):
            found.append(moment)
        moment += MINUTE
    return found


@st.composite
def days(draw: st.DrawFn) -> tuple[Interval, ...]:
    edges = sorted(draw(st.sets(st.integers(0, 1440), max_size=4)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    overnight: bool = draw(st.booleans())
    if pairs and overnight:
        pairs[-1] = pairs[-1][0], draw(st.integers(1441, 2880))
    return tuple(Interval(start=a, end=b) for a, b in pairs if a < 1440)


@st.composite
def calendars(draw: st.DrawFn) -> tuple[CalendarChanged, datetime]:
    """A calendar, and a moment near a change of its zone's clocks."""
    zone, day = draw(st.sampled_from(CHANGES))
    exceptions = draw(st.dictionaries(st.integers(-2, 2), days(), max_size=3))
    calendar = CalendarChanged(
        calendar_id=CALENDAR,
        version=1,
        name="any",
        zone=zone,
        week=tuple(draw(st.lists(days(), min_size=7, max_size=7))),
        exceptions=tuple(
            CalendarException(day=day + timedelta(days=offset), intervals=intervals)
            for offset, intervals in exceptions.items()
        ),
    )
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return calendar, midnight + timedelta(minutes=draw(st.integers(-2 * 1440, 1440)))


@settings(max_examples=120, deadline=None)
@given(calendars(), st.integers(0, 3 * 1440))
def test_elapsed_is_what_a_look_at_every_minute_counts(
    found: tuple[CalendarChanged, datetime], length: int
) -> None:
    calendar, since = found
    until = since + length * MINUTE
    assert BusinessTime(calendar).elapsed(since, until) == len(minutes_of(calendar, since, until)) * MINUTE


@settings(max_examples=120, deadline=None)
@given(calendars(), st.integers(1, 1500))
def test_due_is_the_end_of_the_last_minute_that_is_needed(
    found: tuple[CalendarChanged, datetime], amount: int
) -> None:
    calendar, since = found
    minutes = minutes_of(calendar, since, since + timedelta(days=4))
    if len(minutes) >= amount:
        due = BusinessTime(calendar).after(since, amount * MINUTE)
        assert due == minutes[amount - 1] + MINUTE
        assert due.utcoffset() == timedelta()


@settings(max_examples=120, deadline=None)
@given(calendars(), st.integers(1, 200_000_000), st.integers(0, 59_999_999))
def test_due_and_elapsed_undo_one_another_to_the_microsecond(
    found: tuple[CalendarChanged, datetime], micros: int, odd: int
) -> None:
    calendar, moment = found
    since, amount = moment + timedelta(microseconds=odd), timedelta(microseconds=micros * 1000 + 1)
    time = BusinessTime(calendar)
    try:
        due = time.after(since, amount)
    except NoBusinessTimeError:
        assert not any(calendar.week)
        return
    assert time.elapsed(since, due) == amount
    assert time.elapsed(since, due - timedelta(microseconds=1)) == amount - timedelta(microseconds=1)


@settings(max_examples=60, deadline=None)
@given(calendars(), st.lists(st.integers(0, 5 * 1440), min_size=1, max_size=5))
def test_a_span_is_the_sum_of_its_parts(found: tuple[CalendarChanged, datetime], cuts: list[int]) -> None:
    calendar, since = found
    time = BusinessTime(calendar)
    edges = [since + cut * MINUTE for cut in sorted({0, *cuts})]
    parts = [time.elapsed(a, b) for a, b in itertools.pairwise(edges)]
    assert sum(parts, timedelta()) == time.elapsed(edges[0], edges[-1])


def local(zone: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_the_hour_that_is_skipped_is_no_business_time() -> None:
    night = tuple((Interval(start=60, end=300),) for _ in range(7))
    time = BusinessTime(office(zone="Europe/Berlin", week=night))
    begin = local("Europe/Berlin", "2026-03-29T01:00")
    assert time.elapsed(begin, begin + timedelta(hours=12)) == timedelta(hours=3)
    assert time.after(begin, timedelta(hours=2)) == local("Europe/Berlin", "2026-03-29T04:00")


def test_who_opens_only_in_the_hour_that_is_skipped_does_not_open_that_day() -> None:
    early = (holiday(date(2026, 3, 29), (120, 180)), holiday(date(2026, 3, 30), (120, 180)))
    time = BusinessTime(office(zone="Europe/Berlin", week=((),) * 7, exceptions=early))
    saturday = local("Europe/Berlin", "2026-03-28T12:00")
    assert time.next_moment(saturday) == local("Europe/Berlin", "2026-03-30T02:00")


def test_the_hour_that_is_repeated_counts_twice() -> None:
    night = tuple((Interval(start=60, end=300),) for _ in range(7))
    time = BusinessTime(office(zone="Europe/Berlin", week=night))
    begin = local("Europe/Berlin", "2026-10-25T01:00")
    assert time.elapsed(begin, begin + timedelta(hours=12)) == timedelta(hours=5)


@pytest.mark.parametrize(
    ("zone", "day", "opens", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 90, 3.5),
        ("Europe/Berlin", date(2026, 10, 25), 90, 5.5),
        ("Australia/Lord_Howe", date(2026, 4, 5), 105, 4.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 105, 3.75),
    ],
)
def test_a_day_that_opens_within_the_hour_of_the_change_lasts_as_long_as_it_does(
    zone: str, day: date, opens: int, hours: float
) -> None:
    calendar = office(zone=zone, week=((),) * 7, exceptions=(holiday(day, (opens, 6 * 60)),))
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    counted = BusinessTime(calendar).elapsed(noon - timedelta(days=2), noon + timedelta(days=1))
    assert counted == timedelta(hours=hours)


def test_russian_holidays_short_days_and_working_saturdays() -> None:
    # 2024: Saturday 27 April worked instead of Monday 29 April; 8 May was an hour shorter; 9 May a holiday.
    time = BusinessTime(
        office(
            exceptions=(
                holiday(date(2024, 4, 27), (540, 1080)),
                holiday(date(2024, 4, 29)),
                holiday(date(2024, 4, 30)),
                holiday(date(2024, 5, 1)),
                holiday(date(2024, 5, 8), (540, 1020)),
                holiday(date(2024, 5, 9)),
                holiday(date(2024, 5, 10)),
            )
        )
    )
    friday = local("Europe/Moscow", "2024-04-26T17:00")
    assert time.after(friday, timedelta(hours=2)) == local("Europe/Moscow", "2024-04-27T10:00")
    assert time.after(friday, timedelta(hours=11)) == local("Europe/Moscow", "2024-05-02T10:00")
    assert time.next_moment(local("Europe/Moscow", "2024-05-08T17:00")) == local(
        "Europe/Moscow", "2024-05-13T09:00"
    )


def test_a_shift_past_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    nights = (Interval(start=22 * 60, end=30 * 60),)
    week = (nights,) * 5 + ((), ())
    time = BusinessTime(office(week=week, exceptions=(holiday(date(2026, 3, 7)),)))
    friday = local("Europe/Moscow", "2026-03-06T23:00")
    assert time.after(friday, timedelta(hours=7)) == local("Europe/Moscow", "2026-03-07T06:00")
    assert time.next_moment(local("Europe/Moscow", "2026-03-07T06:00")) == local(
        "Europe/Moscow", "2026-03-09T22:00"
    )


def test_a_day_may_last_until_24_00_and_go_on_at_0_00() -> None:
    time = BusinessTime(office(week=((Interval(start=0, end=1440),),) * 7))
    assert time.elapsed(local("UTC", "2026-01-01T00:00"), local("UTC", "2026-01-11T00:00")) == timedelta(10)


def test_a_target_that_ends_with_the_day_is_due_then_and_not_the_next_morning() -> None:
    nine = local("Europe/Moscow", "2026-03-02T09:00")
    assert BusinessTime(office()).after(nine, timedelta(hours=9)) == nine + timedelta(hours=9)


def test_no_time_has_passed_at_the_moment_itself_be_it_in_the_night() -> None:
    night = local("Europe/Moscow", "2026-03-02T23:00")
    assert BusinessTime(office()).after(night, timedelta()) == night


def test_the_search_for_business_time_ends_in_a_clear_error() -> None:
    last = date(2026, 3, 2)
    time = BusinessTime(office(week=((),) * 7, exceptions=(holiday(last, (540, 600)),)))
    assert time.after(local("UTC", "2026-03-01T00:00"), timedelta(minutes=60)) == local(
        "Europe/Moscow", "2026-03-02T10:00"
    )
    for since, amount in (("2026-03-01T00:00", 61), ("2026-03-05T00:00", 1), ("2024-01-01T00:00", 1)):
        with pytest.raises(NoBusinessTimeError, match=f"{LONGEST_GAP_DAYS} days"):
            time.after(local("UTC", since), timedelta(minutes=amount))
    with pytest.raises(NoBusinessTimeError):
        time.next_moment(local("UTC", "2026-03-05T00:00"))


def test_the_next_business_moment_is_looked_for_in_as_many_days_as_the_refusal_names() -> None:
    since = local("UTC", "2026-03-01T00:00")
    for days, found in ((LONGEST_GAP_DAYS, True), (LONGEST_GAP_DAYS + 1, False)):
        day = since.date() + timedelta(days=days)
        time = BusinessTime(office(zone="UTC", week=((),) * 7, exceptions=(holiday(day, (540, 600)),)))
        if found:
            assert time.next_moment(since) == since + timedelta(days=days, hours=9)
        else:
            with pytest.raises(NoBusinessTimeError, match=f"{LONGEST_GAP_DAYS} days"):
                time.next_moment(since)


def test_a_sparse_calendar_ends_too() -> None:
    days = tuple(holiday(date(2026, month, 1), (540, 541)) for month in range(1, 13))
    yearly = tuple(holiday(date(year, 1, 1), (540, 541)) for year in range(2027, 2060))
    time = BusinessTime(office(week=((),) * 7, exceptions=days + yearly))
    with pytest.raises(NoBusinessTimeError, match="3660 days"):
        time.after(local("UTC", "2026-01-01T00:00"), timedelta(hours=1))


def test_around_the_clock_every_moment_counts() -> None:
    time = BusinessTime(office(always=True, week=()))
    moment = local("UTC", "2026-03-29T00:59")
    assert time.after(moment, timedelta(hours=72)) == moment + timedelta(hours=72)
    assert time.elapsed(moment, moment + timedelta(hours=72)) == timedelta(hours=72)
    assert time.elapsed(moment, moment - timedelta(hours=1)) == timedelta()
    assert time.next_moment(moment) == moment
