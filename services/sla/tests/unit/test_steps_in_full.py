"""Moments and steps of a clock: planned, armed, fired; which rules apply; what is there at first."""

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from services.sla.tests.kit import (
    CALENDAR,
    LINE,
    OTHER_LINE,
    POLICY,
    START,
    after,
    book,
    holiday,
    office,
    policy,
)
from services.sla.tests.told_clocks import FIRST, RULES, SOLUTION, pause, run, running

from deskline_events.conditions import Circumstances, Conditions
from deskline_events.sla import (
    Basis,
    CalendarChanged,
    PolicyChanged,
    SlaBreached,
    SlaWarned,
    Step,
    Target,
)
from deskline_sla.domain import defaults
from deskline_sla.domain.business_time import BusinessTime, NoBusinessTimeError
from deskline_sla.domain.clock import (
    Clock,
    FiredStep,
    forecast_of,
    moment_of,
)
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.steps import (
    STEP_KIND,
    PlannedStep,
    StepName,
    fire_step,
    firing,
    planned_steps,
    steps_to_arm,
    with_breach,
)

pytestmark = pytest.mark.unit


# Moments


def test_a_moment_within_the_runs_of_a_clock() -> None:
    clock = running(segments=(run("opened", 0, 1), pause(1, 5), run("resumed", 5, 6), pause(6)))
    assert moment_of(clock, timedelta(hours=1), RULES) == after(1)
    assert moment_of(clock, timedelta(hours=1, microseconds=1), RULES) == after(5, microseconds=1)
    assert moment_of(clock, timedelta(hours=2), RULES) == after(6)
    assert moment_of(clock, timedelta(hours=3), RULES) == after(7)
    assert moment_of(clock, timedelta(), RULES) == after(0)


def test_a_forecast_is_in_whole_seconds_and_to_come() -> None:
    clock = running()
    assert forecast_of(clock, after(1), RULES) == after(6)
    assert forecast_of(clock, after(5), RULES) == after(7)
    assert forecast_of(clock, after(5, microseconds=1), RULES) == after(7, seconds=1)


def test_what_is_asked_of_a_clock() -> None:
    clock = running(segments=(run("opened", 0, 1), pause(1)))
    assert (clock.started_at, clock.target, list(clock.runs)) == (
        START,
        timedelta(hours=4),
        [run("opened", 0, 1)],
    )
    assert [running(state=state).is_open for state in ("running", "paused", "met", "cancelled")] == [
        True,
        True,
        False,
        False,
    ]


def test_the_machines_zone_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    evening = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    calendar = office(zone="UTC", week=((),) * 7, exceptions=(holiday(date(2026, 3, 2), (0, 1440)),))
    try:
        monkeypatch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        assert BusinessTime(calendar).elapsed(evening, evening + timedelta(hours=1)) == timedelta(minutes=30)
        assert BusinessTime(calendar).next_moment(evening.astimezone(timezone(timedelta(hours=9)))) == evening
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_calendar_that_ran_out_says_which_and_from_when() -> None:
    calendar = BusinessTime(office(week=((),) * 7, version=3))
    with pytest.raises(NoBusinessTimeError) as refused:
        calendar.next_moment(START)
    assert str(refused.value) == (
        f"calendar {CALENDAR} in version 3 has too little business time within 400 days after"
        " 2026-03-02T09:00:00+00:00"
    )
    assert refused.value.safe_message is True


# Steps


def test_a_step_is_named_by_clock_cycle_and_key() -> None:
    for clock in ("first_response", "resolution"):
        name = StepName(clock, 3, "warn")
        assert (str(name), StepName.read(str(name))) == (f"{clock}/3/warn", name)
    assert STEP_KIND == "sla_step"


def test_a_breach_is_announced_under_any_policy() -> None:
    warn = Step(key="warn", percent=80)
    assert with_breach((warn,)) == (warn, Step(key="breach", seconds=0))
    kept = (Step(key="breach", seconds=0, recipients=("customer",)), warn)
    assert with_breach(kept) == kept


STEPS = (
    Step(key="at_start", seconds=-4 * 3600),
    Step(key="second", seconds=-4 * 3600 + 1),
    Step(key="half", percent=50, actions=("raise_priority",), recipients=("assignee",)),
    Step(key="due", seconds=0),
    Step(key="late", seconds=60, actions=("escalate",), recipients=("team_lead",)),
)
STEPPED = book(office(always=True, week=()), policy(steps={"resolution": STEPS}))


def test_steps_are_planned_after_the_start_and_late_from_due_on() -> None:
    assert planned_steps(running(), STEPPED) == [
        PlannedStep(STEPS[1], after(0, seconds=1), late=False),
        PlannedStep(STEPS[2], after(2), late=False),
        PlannedStep(STEPS[3], after(4), late=True),
        PlannedStep(STEPS[4], after(4, seconds=60), late=True),
    ]
    breached = running(breached_since=after(3))
    assert [one.at for one in planned_steps(breached, STEPPED)][2:] == [after(3), after(4, seconds=60)]


def keys(clock: Clock, at: datetime) -> list[str]:
    return [one.step.key for one in steps_to_arm(clock, at, STEPPED)]


def test_what_is_armed_when() -> None:
    assert keys(running(), after(0)) == ["second", "half", "due", "late"]
    # Not given yet, it is given while there is time; at due there is none.
    assert keys(running(), after(4, microseconds=-1)) == ["second", "half", "due", "late"]
    assert keys(running(), after(4)) == ["due", "late"]
    fired = running(fired=(FiredStep("half", 1, after(2)), FiredStep("due", 1, after(4))))
    assert keys(fired, after(1)) == ["second", "half", "late"]
    assert keys(fired, after(2)) == ["second", "late"]
    standing = running(state="paused", segments=(run("opened", 0, 4), pause(4)))
    assert keys(standing, after(9)) == []
    overdue = running(state="paused", segments=(run("opened", 0, 4.01), pause(4.01)))
    assert keys(overdue, after(9)) == ["due"]
    assert keys(replace(overdue, fired=fired.fired), after(9)) == []


def test_a_step_fires_at_its_moment_in_its_generation() -> None:
    half = StepName("resolution", 1, "half")
    planned = firing(running(), half, 1, after(2), STEPPED)
    assert planned == PlannedStep(STEPS[2], after(2), late=False)
    assert firing(running(), half, 1, after(2, microseconds=-1), STEPPED) is None
    assert firing(running(generation=2), half, 1, after(2), STEPPED) is None
    assert firing(running(), StepName("resolution", 1, "other"), 1, after(9), STEPPED) is None
    once = running(generation=2, fired=(FiredStep("half", 1, after(2)),))
    assert firing(once, half, 2, after(2), STEPPED) is not None
    assert firing(replace(once, fired=(FiredStep("half", 2, after(2)),)), half, 2, after(3), STEPPED) is None


def test_what_a_firing_announces_in_whole() -> None:
    warned, fact = fire_step(running(), PlannedStep(STEPS[2], after(2), late=False), after(3), STEPPED)
    assert warned == running(fired=(FiredStep("half", 1, after(3)),))
    assert fact == SlaWarned(
        clock="resolution",
        cycle=1,
        generation=1,
        step="half",
        step_due_at=after(2),
        due_at=after(4),
        actions=("raise_priority",),
        recipients=("assignee",),
    )
    late = PlannedStep(STEPS[4], after(4, seconds=60), late=True)
    breached, fact = fire_step(warned, late, after(5), STEPPED)
    fired = (FiredStep("half", 1, after(3)), FiredStep("late", 1, after(5)))
    assert breached == running(fired=fired, breached_since=after(4))
    assert fact == SlaBreached(
        clock="resolution",
        cycle=1,
        generation=1,
        step="late",
        step_due_at=after(4, seconds=60),
        due_at=after(4),
        actions=("escalate",),
        recipients=("team_lead",),
        forecast_at=None,
    )


# Rules


def test_a_book_knows_each_version_and_what_is_current() -> None:
    first, second = policy(), policy(version=2, resolution=60)
    calendar = office(version=2, name="Other")
    rules = book(office(), first).joined_by([second, calendar])
    assert (rules.policy(POLICY), rules.calendar(CALENDAR)) == (second, calendar)
    assert rules.policies[POLICY, 1] == first
    assert rules.calendars[CALENDAR, 1].calendar == office()
    assert rules.policy(OTHER_LINE) is None
    assert rules.calendar(OTHER_LINE) is None
    assert rules.steps("resolution", FIRST) == first.steps["resolution"]
    bare = book(office(), policy(steps={}))
    assert bare.steps("resolution", FIRST) == ()


FOUND = Circumstances(line_id=LINE, channel="email", language="ru", level=1, priority="medium")


def renewed(rules: RuleBook, rule_id: UUID, held: Basis = SOLUTION) -> Basis:
    return rules.renew_basis("resolution", FOUND, held, rule_id)


def test_an_edited_calendar_applies_in_its_newest_version() -> None:
    rules = book(office(), policy()).joined_by([office(version=2)])
    assert renewed(rules, CALENDAR) == SOLUTION.model_copy(update={"calendar_version": 2})
    assert renewed(rules, OTHER_LINE) == SOLUTION


def test_an_edited_policy_applies_to_its_own_and_takes_what_it_matches_before_others() -> None:
    other = policy(policy_id=OTHER_LINE, order=5, resolution=60)
    rules = book(office(), policy(), other)
    assert renewed(rules, OTHER_LINE).policy_id == OTHER_LINE
    behind = book(office(), policy(), other.model_copy(update={"order": 50}))
    assert renewed(behind, OTHER_LINE) == SOLUTION
    off = book(office(), policy(), other.model_copy(update={"active": False}))
    assert renewed(off, OTHER_LINE) == SOLUTION
    edited = book(office(), policy()).joined_by([policy(version=2, resolution=60)])
    assert renewed(edited, POLICY) == SOLUTION.model_copy(update={"policy_version": 2, "target_seconds": 60})


def test_what_its_own_policy_lets_go_is_chosen_anew_among_all() -> None:
    off = book(office(), policy()).joined_by([policy(version=2, active=False)])
    assert renewed(off, POLICY).policy_id == defaults.DEFAULT_POLICY_ID
    alone = RuleBook().joined_by([office(), policy()]).joined_by([policy(version=2, active=False)])
    assert renewed(alone, POLICY) == SOLUTION


def test_of_policies_of_one_order_the_smaller_id_is_first() -> None:
    twin = policy(policy_id=UUID(int=99), resolution=60)
    chosen = book(office(), policy(), twin).choose_basis("resolution", FOUND)
    assert chosen is not None
    assert (chosen.policy_id, chosen.target_seconds) == (UUID(int=99), 60)


def test_a_clock_keeps_the_versions_that_it_has() -> None:
    rules = book(office(), policy()).joined_by([policy(version=2, resolution=60), office(version=2)])
    assert rules.choose_basis("resolution", FOUND, SOLUTION) == SOLUTION
    fresh = rules.choose_basis("resolution", FOUND)
    assert fresh == SOLUTION.model_copy(
        update={"policy_version": 2, "calendar_version": 2, "target_seconds": 60}
    )


# From the beginning


def test_the_default_calendar_and_policy_are_these() -> None:
    hour = 3600
    seconds: dict[Any, tuple[int, int]] = {
        "low": (8 * hour, 72 * hour),
        "medium": (4 * hour, 24 * hour),
        "high": (hour, 8 * hour),
        "critical": (900, 4 * hour),
    }
    warn = Step(key="warn", percent=80, recipients=("assignee", "team_lead"))
    assert defaults.default_calendar() == CalendarChanged(
        calendar_id=UUID("00000000-0000-7000-8000-00000000c247"),
        version=1,
        name="24/7",
        zone="UTC",
        always=True,
    )
    assert defaults.default_policy() == PolicyChanged(
        policy_id=UUID("00000000-0000-7000-8000-00000000051a"),
        version=1,
        name="Default",
        order=1_000_000,
        conditions=Conditions(),
        calendar_id=UUID("00000000-0000-7000-8000-00000000c247"),
        targets=tuple(
            Target(clock=clock, priority=priority, seconds=both[place])
            for place, clock in enumerate(("first_response", "resolution"))
            for priority, both in seconds.items()
        ),
        steps={
            "first_response": (warn, Step(key="breach", seconds=0, recipients=("team_lead",))),
            "resolution": (warn, Step(key="breach", seconds=0, recipients=("customer", "team_lead"))),
        },
    )
