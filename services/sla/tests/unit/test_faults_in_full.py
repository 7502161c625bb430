"""Given a policy or a calendar, when it is checked, then all its faults: each field, each sentence."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from services.sla.tests.kit import OTHER_LINE, START, book, holiday, office, policy

from deskline_events.sla import CalendarChanged, Interval, PolicyChanged, Step, Target
from deskline_sla.domain.checking import (
    Fault,
    RulesRefused,
    check_calendar,
    check_policy,
    known_zones,
)
from deskline_sla.domain.defaults import default_policy
from deskline_sla.domain.rules import RuleBook

pytestmark = pytest.mark.unit

DAY = (Interval(start=540, end=1080),)
NIGHT = (Interval(start=1320, end=1800),)
FREE: tuple[Interval, ...] = ()
REACHES = "An interval runs past midnight into one of the day after"
BEFORE_REACHES = "The day before runs past midnight into it"
DEFAULT_IS_FOR_ALL = "The default policy is active, has no conditions and a target for everything"
MAY, TUESDAY = date(2026, 5, 1), date(2026, 5, 5)


def hours(*pairs: tuple[int, int]) -> tuple[Interval, ...]:
    return tuple(Interval(start=start, end=end) for start, end in pairs)


def faults_of(check: Callable[[], None]) -> list[tuple[str, str]]:
    try:
        check()
    except RulesRefused as refused:
        return [(one.field, one.message) for one in refused.faults]
    return []


def test_a_refusal_tells_all_faults() -> None:
    faults = [Fault("zone", "No zone"), Fault("week", "No week")]
    refused = RulesRefused(faults)
    assert str(refused) == "zone: No zone; week: No week"
    assert refused.faults == tuple(faults)
    # The door would hide the sentence without it.
    assert refused.safe_message is True


CALENDARS: list[tuple[str, CalendarChanged, list[tuple[str, str]]]] = [
    ("unknown zone", office(zone="Mars/Olympus"), [("zone", "There is no such IANA time zone")]),
    ("the machine's zone", office(zone="localtime"), [("zone", "There is no such IANA time zone")]),
    ("no zone at all", office(zone="Factory"), [("zone", "There is no such IANA time zone")]),
    (
        "always with a week",
        office(always=True),
        [("always", "A calendar that always runs has no week and no exceptions")],
    ),
    (
        "always with an exception",
        office(always=True, week=(), exceptions=(holiday(MAY),)),
        [("always", "A calendar that always runs has no week and no exceptions")],
    ),
    ("always", office(always=True, week=()), []),
    ("six days", office(week=(DAY,) * 6), [("week", "Give seven days, from Monday")]),
    ("eight days", office(week=(DAY,) * 8), [("week", "Give seven days, from Monday")]),
    (
        "never",
        office(week=(FREE,) * 7),
        [("week", "There is no business time in the next 400 days")],
    ),
    (
        "an empty interval",
        office(week=(FREE, hours((600, 600)), *(FREE,) * 5)),
        [("week.1", "An interval ends before it begins")],
    ),
    ("a minute", office(week=(hours((600, 601)), *(FREE,) * 6)), []),
    (
        "an overlap, in any order",
        office(week=(hours((59, 70), (0, 60)), *(FREE,) * 6)),
        [("week.0", "Intervals overlap")],
    ),
    ("end to end", office(week=(hours((60, 70), (0, 60)), *(FREE,) * 6)), []),
    ("into the next day", office(week=(NIGHT, hours((359, 361)), *(FREE,) * 5)), [("week.0", REACHES)]),
    ("up to the next day", office(week=(NIGHT, hours((360, 361)), *(FREE,) * 5)), []),
    (
        "by a minute",
        office(week=(hours((0, 1441)), hours((0, 1)), *(FREE,) * 5)),
        [("week.0", REACHES)],
    ),
    ("midnight to midnight", office(week=(hours((0, 1440)), hours((0, 1)), *(FREE,) * 5)), []),
    ("Sunday into Monday", office(week=(hours((0, 61)), *(FREE,) * 5, NIGHT)), [("week.6", REACHES)]),
    (
        "a day named twice",
        office(exceptions=(holiday(MAY), holiday(MAY))),
        [("exceptions", "A day is named twice")],
    ),
    (
        "the night before",
        office(week=(NIGHT,) * 7, exceptions=(holiday(date(2026, 6, 1)), holiday(MAY, (359, 400)))),
        [("exceptions.1", BEFORE_REACHES)],
    ),
    (
        "the morning after the night before",
        office(week=(NIGHT,) * 7, exceptions=(holiday(MAY, (360, 400)),)),
        [],
    ),
    (
        "the night before is an exception too",
        office(week=(NIGHT,) * 7, exceptions=(holiday(date(2026, 4, 30)), holiday(MAY, (300, 400)))),
        [],
    ),
    (
        "only two days before there is a night",
        office(
            week=(FREE, FREE, NIGHT, FREE, FREE, FREE, FREE),
            exceptions=(holiday(MAY, (300, 400)),),
        ),
        [],
    ),
    (
        "an exception into the next day",
        office(exceptions=(holiday(TUESDAY, (600, 2100)),)),
        [("exceptions.0", REACHES)],
    ),
    (
        "an exception into an exception",
        office(exceptions=(holiday(TUESDAY, (600, 2100)), holiday(date(2026, 5, 6), (0, 10)))),
        [("exceptions.0", REACHES)],
    ),
    (
        "an exception into a free exception",
        office(exceptions=(holiday(TUESDAY, (600, 2100)), holiday(date(2026, 5, 6)))),
        [],
    ),
    (
        "an exception that is no day",
        office(exceptions=(holiday(TUESDAY, (600, 500)),)),
        [("exceptions.0", "An interval ends before it begins")],
    ),
    (
        "two faults at once",
        office(zone="Mars/Olympus", week=(hours((0, 60), (10, 20)), hours((9, 9)), *(FREE,) * 5)),
        [
            ("zone", "There is no such IANA time zone"),
            ("week.0", "Intervals overlap"),
            ("week.1", "An interval ends before it begins"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("calendar", "faults"), [row[1:] for row in CALENDARS], ids=[row[0] for row in CALENDARS]
)
def test_a_calendar_has_these_faults(calendar: CalendarChanged, faults: list[tuple[str, str]]) -> None:
    assert faults_of(lambda: check_calendar(calendar, START)) == faults


def test_zones_are_those_of_the_world() -> None:
    assert not {"localtime", "Factory"} & known_zones()


def test_business_time_is_looked_for_from_now_on_in_any_zone_that_now_is_told_in() -> None:
    last = office(week=((),) * 7, exceptions=(holiday(date(2026, 3, 2), (0, 60)),), zone="UTC")
    now = datetime(2026, 3, 2, 0, 59, tzinfo=UTC)
    assert faults_of(lambda: check_calendar(last, now)) == []
    elsewhere = now.astimezone(timezone(timedelta(hours=-5)))
    assert faults_of(lambda: check_calendar(last, elsewhere)) == []
    over = now + timedelta(minutes=1)
    assert faults_of(lambda: check_calendar(last, over)) == [
        ("week", "There is no business time in the next 400 days")
    ]


def steps(*given: Step, clock: str = "resolution") -> dict[str, Any]:
    return {"steps": {clock: given}}


FIRST = Target(clock="first_response", priority="low", seconds=60)
LAST = Target(clock="resolution", priority="low", seconds=60)
POLICIES: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("no target for one", {"targets": (LAST,)}, [("targets", "There is no target for first_response")]),
    ("no target for the other", {"targets": (FIRST,)}, [("targets", "There is no target for resolution")]),
    ("one of each", {"targets": (FIRST, LAST)}, []),
    (
        "two for a priority",
        {"targets": (LAST, FIRST, LAST)},
        [("targets", "A priority has two targets for resolution")],
    ),
    (
        "percent and seconds",
        steps(Step(key="b", percent=9), Step(key="a", percent=50, seconds=1)),
        [("steps.resolution.1", "Give either percent or seconds")],
    ),
    (
        "neither",
        steps(Step(key="a"), clock="first_response"),
        [("steps.first_response.0", "Give either percent or seconds")],
    ),
    (
        "a key twice",
        steps(Step(key="a", percent=1), Step(key="a", percent=2)),
        [("steps.resolution", "A step's key is used twice")],
    ),
    (
        "a breach that is not at due",
        steps(Step(key="breach", seconds=1)),
        [("steps.resolution.0", "The step `breach` is at due: seconds 0")],
    ),
    (
        "a breach by percent",
        steps(Step(key="breach", percent=99)),
        [("steps.resolution.0", "The step `breach` is at due: seconds 0")],
    ),
    ("a breach at due", steps(Step(key="breach", seconds=0)), []),
    ("no calendar", {"calendar_id": OTHER_LINE}, [("calendar_id", "There is no such calendar")]),
    (
        "no calendar, and a fault",
        {"calendar_id": OTHER_LINE, "targets": (LAST,)},
        [
            ("targets", "There is no target for first_response"),
            ("calendar_id", "There is no such calendar"),
        ],
    ),
]


@pytest.mark.parametrize(("given", "faults"), [row[1:] for row in POLICIES], ids=[row[0] for row in POLICIES])
def test_a_policy_has_these_faults(given: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    assert faults_of(lambda: check_policy(policy(**given), book(office()), START)) == faults


@pytest.mark.parametrize(
    "change", [{"active": False}, {"targets": default_policy().targets[:7]}, {"conditions": None}]
)
def test_what_the_default_policy_may_not_become(change: dict[str, Any]) -> None:
    if "conditions" in change:
        change = {"conditions": policy().conditions.model_copy(update={"levels": (1,)})}
    wrong: PolicyChanged = default_policy().model_copy(update=change)
    assert faults_of(lambda: check_policy(wrong, book(), START)) == [("policy_id", DEFAULT_IS_FOR_ALL)]
    assert faults_of(lambda: check_policy(default_policy(), book(), START)) == []


TOO_LITTLE = [("targets", "The calendar has too little business time for these targets")]


def ends_at(minutes: int) -> RuleBook:
    """A calendar that has so many minutes of business time left from START on, and then no more."""
    rest = holiday(START.date(), (540, 540 + minutes))
    return book(office(zone="UTC", week=((),) * 7, exceptions=(rest,)))


@pytest.mark.parametrize(
    ("seconds", "given", "needed"),
    [
        # A forecast: half of the target, and a second.
        (600, {}, 901),
        (601, {}, 902),
        (60, steps(Step(key="late", seconds=600)), 660),
        (60, steps(Step(key="early", seconds=-600), Step(key="late", seconds=600)), 660),
        (60, steps(Step(key="half", percent=50)), 91),
    ],
)
def test_a_calendar_must_reach_as_far_as_a_policy_asks(
    seconds: int, given: dict[str, Any], needed: int
) -> None:
    first = Target(clock="first_response", priority="low", seconds=1)
    targets = (Target(clock="resolution", priority="high", seconds=seconds), first)
    asked = policy(targets=targets, **({"steps": {}} | given))
    enough, short = ends_at(-(-needed // 60)), ends_at(needed // 60 - (needed % 60 == 0))
    assert faults_of(lambda: check_policy(asked, enough, START)) == []
    assert faults_of(lambda: check_policy(asked, short, START)) == TOO_LITTLE
    exact = START + timedelta(seconds=60 * (-(-needed // 60)) - needed)
    assert faults_of(lambda: check_policy(asked, enough, exact)) == []
    assert faults_of(lambda: check_policy(asked, enough, exact + timedelta(seconds=1))) == TOO_LITTLE
    elsewhere = exact.astimezone(timezone(timedelta(hours=9)))
    assert faults_of(lambda: check_policy(asked, enough, elsewhere)) == []
