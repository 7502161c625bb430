"""What can't be worked with is refused, field by field."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from services.sla.tests.kit import OTHER_LINE, START, book, holiday, office, policy

from deskline_events.conditions import Conditions
from deskline_events.sla import CalendarChanged, Interval, PolicyChanged, Step, Target
from deskline_sla.domain.checking import RulesRefused, check_calendar, check_policy, known_zones
from deskline_sla.domain.defaults import DEFAULT_POLICY_ID, default_calendar, default_policy

pytestmark = pytest.mark.unit

DAY = (Interval(start=540, end=1080),)
NIGHT = (Interval(start=1320, end=1800),)
CALENDARS: list[tuple[Callable[[], CalendarChanged], str]] = [
    (lambda: office(zone="Mars/Olympus"), "zone"),
    (lambda: office(zone="localtime"), "zone"),
    (lambda: office(zone="../../etc/passwd"), "zone"),
    (lambda: office(week=(DAY,) * 6), "week"),
    (lambda: office(always=True), "always"),
    (lambda: office(week=((),) * 7), "week"),
    (lambda: office(week=((),) * 7, exceptions=(holiday(date(2025, 1, 1), (0, 60)),)), "week"),
    (lambda: office(week=((),) * 7, exceptions=(holiday(date(2027, 6, 1), (0, 60)),)), "week"),
    (lambda: office(week=((Interval(start=600, end=600),),) + ((),) * 6), "week.0"),
    (
        lambda: office(week=((Interval(start=0, end=60), Interval(start=59, end=70)),) + ((),) * 6),
        "week.0",
    ),
    (lambda: office(week=(NIGHT, (Interval(start=0, end=61),)) + ((),) * 5), "week.0"),
    (lambda: office(week=((Interval(start=0, end=61),),) + ((),) * 5 + (NIGHT,)), "week.6"),
    (lambda: office(exceptions=(holiday(date(2026, 5, 1)), holiday(date(2026, 5, 1)))), "exceptions"),
    (lambda: office(week=(NIGHT,) * 7, exceptions=(holiday(date(2026, 5, 1), (300, 400)),)), "exceptions.0"),
    (lambda: office(exceptions=(holiday(date(2026, 5, 5), (600, 2100)),)), "exceptions.0"),
]


@pytest.mark.parametrize(("make", "field"), CALENDARS)
def test_a_calendar_that_makes_no_sense_is_refused(make: Callable[[], CalendarChanged], field: str) -> None:
    with pytest.raises(RulesRefused) as refused:
        check_calendar(make(), START)
    assert field in {fault.field for fault in refused.value.faults}


def test_good_calendars_pass() -> None:
    check_calendar(default_calendar(), START)
    check_calendar(office(week=(NIGHT,) * 7), START)
    check_calendar(office(week=((Interval(start=0, end=1440),),) * 7), START)
    check_calendar(office(week=((),) * 7, exceptions=(holiday(date(2027, 4, 1), (0, 60)),)), START)


def test_zones_of_the_world_are_known() -> None:
    assert {"UTC", "Europe/Moscow", "Asia/Yekaterinburg", "Asia/Kathmandu"} <= known_zones()


def steps(*given: Step) -> dict[str, Any]:
    return {"steps": {"resolution": given, "first_response": ()}}


ONE = Target(clock="resolution", priority="low", seconds=60)
POLICIES: list[tuple[dict[str, Any], str]] = [
    ({"targets": (ONE,)}, "targets"),
    ({"targets": (ONE, ONE, Target(clock="first_response", priority="low", seconds=1))}, "targets"),
    (steps(Step(key="a", percent=50, seconds=1)), "steps.resolution.0"),
    (steps(Step(key="a")), "steps.resolution.0"),
    (steps(Step(key="a", percent=1), Step(key="a", percent=2)), "steps.resolution"),
    (steps(Step(key="breach", percent=99)), "steps.resolution.0"),
    ({"calendar_id": OTHER_LINE}, "calendar_id"),
    ({"resolution": 31_536_000}, "targets"),
]


@pytest.mark.parametrize(("given", "field"), POLICIES)
def test_a_policy_that_makes_no_sense_is_refused(given: dict[str, Any], field: str) -> None:
    # An hour a week: a year of business time is beyond reach.
    rules = book(office(week=((Interval(start=0, end=60),),) + ((),) * 6))
    with pytest.raises(RulesRefused) as refused:
        check_policy(policy(**given), rules, START)
    assert field in {fault.field for fault in refused.value.faults}


def test_good_policies_pass() -> None:
    check_policy(policy(first_response=1, resolution=1), book(office()), START)
    check_policy(default_policy(), book(), START)


@pytest.mark.parametrize(
    "change",
    [{"active": False}, {"conditions": Conditions(levels=(1,))}, {"targets": default_policy().targets[:7]}],
)
def test_the_default_policy_stays_one_for_everything(change: dict[str, Any]) -> None:
    wrong: PolicyChanged = default_policy().model_copy(update=change)
    assert wrong.policy_id == DEFAULT_POLICY_ID
    with pytest.raises(RulesRefused) as refused:
        check_policy(wrong, book(), START)
    assert "policy_id" in {fault.field for fault in refused.value.faults}
