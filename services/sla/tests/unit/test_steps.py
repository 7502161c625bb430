"""Steps: which are armed when a clock moves, which may fire, and what their firing says."""

from dataclasses import replace
from datetime import datetime

import pytest
from services.sla.tests.kit import (
    after,
    book,
    moved,
    office,
    opened,
    policy,
    prioritised,
    tell,
)

from deskline_events.sla import SlaBreached, SlaWarned, Step
from deskline_sla.domain.clock import Clock
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.steps import StepName, fire_step, firing, steps_to_arm
from deskline_sla.domain.watched import WatchedTicket

pytestmark = pytest.mark.unit

PLAIN = book()
STEPS = (
    Step(key="hour_before", seconds=-3600, recipients=("assignee",)),
    Step(key="day_before", seconds=-86_400),
    Step(key="half", percent=50),
    Step(key="breach", seconds=0, actions=("escalate",), recipients=("customer", "team_lead")),
    Step(key="hour_after", seconds=3600, actions=("raise_priority",)),
)
STEPPED = book(office(always=True, week=()), policy(steps={"resolution": STEPS, "first_response": ()}))


def solution(ticket: WatchedTicket) -> Clock:
    clock = ticket.clock("resolution", ticket.cycle)
    assert clock is not None
    return clock


def armed(clock: Clock, at: datetime, rules: RuleBook) -> dict[str, datetime]:
    return {one.step.key: one.at for one in steps_to_arm(clock, at, rules)}


def fire(clock: Clock, step: str, now: datetime, rules: RuleBook) -> tuple[Clock, SlaWarned | SlaBreached]:
    planned = firing(clock, StepName(clock.name, clock.cycle, step), clock.generation, now, rules)
    assert planned is not None
    return fire_step(clock, planned, now, rules)


def test_a_name_survives_its_key() -> None:
    name = StepName("resolution", 12, "hour_before")
    assert str(name) == "resolution/12/hour_before"
    assert StepName.read(str(name)) == name


def test_a_start_arms_every_step_that_has_a_moment() -> None:
    ticket, _ = tell(STEPPED, [(opened(), after())])
    assert armed(solution(ticket), after(), STEPPED) == {
        "hour_before": after(3),
        "half": after(2),
        "breach": after(4),
        "hour_after": after(5),
    }


def test_default_steps_warn_at_four_fifths_and_tell_of_the_breach() -> None:
    ticket, _ = tell(PLAIN, [(opened(priority="high"), after())])
    assert armed(solution(ticket), after(), PLAIN) == {"warn": after(8 * 0.8), "breach": after(8)}
    clock, warned = fire(solution(ticket), "warn", after(7), PLAIN)
    assert isinstance(warned, SlaWarned)
    assert (warned.recipients, warned.step_due_at, warned.due_at) == (
        ("assignee", "team_lead"),
        after(6.4),
        after(8),
    )
    _, breached = fire(clock, "breach", after(8, microseconds=1), PLAIN)
    assert isinstance(breached, SlaBreached)
    assert breached.recipients == ("customer", "team_lead")
    assert breached.forecast_at == after(12, seconds=1)
    first = ticket.clock("first_response", 1)
    assert first is not None
    _, told = fire(first, "breach", after(2), PLAIN)
    assert isinstance(told, SlaBreached)
    assert (told.recipients, told.forecast_at) == (("team_lead",), None)


def test_a_forecast_that_is_told_late_is_still_to_come() -> None:
    ticket, _ = tell(PLAIN, [(opened(priority="high"), after())])
    _, breached = fire(solution(ticket), "breach", after(100), PLAIN)
    assert isinstance(breached, SlaBreached)
    assert (breached.due_at, breached.forecast_at) == (after(8), after(104))


def test_a_step_fires_once_in_its_generation_and_never_early() -> None:
    ticket, _ = tell(STEPPED, [(opened(), after())])
    clock = solution(ticket)
    half = StepName("resolution", 1, "half")
    assert firing(clock, half, 1, after(2, microseconds=-1), STEPPED) is None
    assert firing(clock, half, 2, after(2), STEPPED) is None
    clock, _ = fire(clock, "half", after(2), STEPPED)
    assert firing(clock, half, 1, after(2), STEPPED) is None


def test_nothing_fires_of_a_clock_that_is_met_or_cancelled() -> None:
    for end in ("resolved", "spam"):
        ticket, _ = tell(STEPPED, [(opened(), after()), (moved("new", end), after(5))])
        clock = solution(ticket)
        assert armed(clock, after(5), STEPPED) == {}
        assert firing(clock, StepName("resolution", 1, "breach"), 1, after(9), STEPPED) is None


def test_a_pause_disarms_what_is_to_come_and_keeps_a_breach_that_was_due() -> None:
    events = [(opened(), after()), (moved("in_progress", "waiting_customer"), after(1))]
    ticket, _ = tell(STEPPED, events)
    assert armed(solution(ticket), after(1), STEPPED) == {}
    assert firing(solution(ticket), StepName("resolution", 1, "half"), 1, after(9), STEPPED) is None
    events[1] = (events[1][0], after(4.5))
    ticket, _ = tell(STEPPED, events)
    assert armed(solution(ticket), after(4.5), STEPPED) == {"breach": after(4)}
    clock, breached = fire(solution(ticket), "breach", after(4.6), STEPPED)
    assert isinstance(breached, SlaBreached)
    assert (breached.due_at, breached.step_due_at) == (after(4), after(4))
    assert armed(clock, after(4.6), STEPPED) == {}


def test_a_resumed_clock_arms_what_is_still_to_come_and_what_never_fired() -> None:
    ticket, _ = tell(STEPPED, [(opened(), after())])
    clock, _ = fire(solution(ticket), "half", after(2), STEPPED)
    ticket = ticket.with_clock(clock)
    events = [
        (moved("in_progress", "waiting_customer"), after(2.5)),
        (moved("waiting_customer", "in_progress"), after(10)),
    ]
    ticket, _ = tell(STEPPED, events, ticket)
    assert armed(solution(ticket), after(10), STEPPED) == {
        "hour_before": after(10.5),
        "breach": after(11.5),
        "hour_after": after(12.5),
    }


def test_a_breach_is_not_repeated_by_a_later_generation() -> None:
    ticket, _ = tell(PLAIN, [(opened(priority="high"), after())])
    clock, _ = fire(solution(ticket), "warn", after(6.4), PLAIN)
    clock, _ = fire(clock, "breach", after(8), PLAIN)
    shorter, _ = tell(PLAIN, [(prioritised("high", "critical"), after(9))], ticket.with_clock(clock))
    assert solution(shorter).generation == 2
    assert armed(solution(shorter), after(9), PLAIN) == {}
    longer, _ = tell(PLAIN, [(prioritised("high", "low"), after(9))], ticket.with_clock(clock))
    assert armed(solution(longer), after(9), PLAIN) == {"warn": after(72 * 0.8)}


def test_a_breach_that_was_not_announced_yet_is_announced_for_the_moment_that_passed() -> None:
    ticket, _ = tell(PLAIN, [(opened(priority="high"), after()), (prioritised("high", "low"), after(9))])
    clock = solution(ticket)
    assert clock.due_at == after(72)
    assert armed(clock, after(9), PLAIN)["breach"] == after(8)
    _, breached = fire(clock, "breach", after(9), PLAIN)
    assert isinstance(breached, SlaBreached)
    assert (breached.due_at, breached.generation) == (after(8), 2)


def test_a_warning_whose_moment_a_new_target_passed_is_given_at_once_while_there_is_time() -> None:
    ticket, _ = tell(PLAIN, [(opened(), after()), (prioritised("medium", "high"), after(7))])
    assert armed(solution(ticket), after(7), PLAIN) == {"warn": after(6.4), "breach": after(8)}
    late, _ = tell(PLAIN, [(opened(), after()), (prioritised("medium", "high"), after(9))])
    assert armed(solution(late), after(9), PLAIN) == {"breach": after(8)}


def test_a_calendar_that_ran_out_promises_nothing_and_the_breach_is_told() -> None:
    ticket, _ = tell(PLAIN, [(opened(), after())])
    clock = solution(ticket)
    empty = office(calendar_id=clock.basis.calendar_id, version=2, week=((),) * 7)
    rules = PLAIN.joined_by([empty])
    basis = clock.basis.model_copy(update={"calendar_version": 2})
    _, breached = fire(replace(clock, basis=basis), "breach", after(30), rules)
    assert isinstance(breached, SlaBreached)
    assert breached.forecast_at is None
