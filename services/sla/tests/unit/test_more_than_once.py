"""Given clocks that stood still twice and rules that were edited twice, then the last of each counts."""

from dataclasses import replace
from uuid import UUID

import pytest
from services.sla.tests.kit import (
    CALENDAR,
    CONTACT,
    LINE,
    POLICY,
    STAFF,
    after,
    answered,
    book,
    escalated,
    moved,
    office,
    opened,
    policy,
    prioritised,
    tell,
)
from services.sla.tests.told_clocks import RULES, SOLUTION, pause, run

from deskline_events.conditions import Circumstances, Conditions
from deskline_events.facts import Customer
from deskline_events.sla import Basis, ClockResumed, SlaRecalculated, Step, Target
from deskline_sla.domain.clock import Clock, cancel_clock, meet_clock, resume_clock
from deskline_sla.domain.steps import steps_to_arm
from deskline_sla.domain.watched import recalculate

pytestmark = pytest.mark.unit

FOUND = Circumstances(
    line_id=LINE, channel="email", language="ru", level=1, priority="medium", new_contact=False, verified=True
)
STANDING = Clock(
    "resolution",
    1,
    2,
    "paused",
    SOLUTION,
    after(6),
    (
        run("opened", 0, 1),
        pause(1, 3),
        run("resumed", 3, 5),
        pause(5),
    ),
)
"""It consumed three of its four hours, and stands still for the second time."""


# Paused twice


def test_a_clock_that_stands_still_again_ran_until_its_last_pause() -> None:
    overdue = replace(STANDING, due_at=after(4))
    assert cancel_clock(overdue, after(9)).breached_since == after(4)
    assert resume_clock(overdue, after(9), RULES).breached_since == after(4)
    assert cancel_clock(STANDING, after(9)).breached_since is None


def test_what_comes_before_the_second_pause_was_committed_counts_from_that_pause() -> None:
    assert meet_clock(STANDING, after(4), RULES).due_at == after(7)
    assert meet_clock(STANDING, after(10), RULES).due_at == after(11)


def test_a_breach_is_armed_where_it_came_before_the_last_pause() -> None:
    breach = Step(key="breach", seconds=0, recipients=("team_lead",))
    rules = book(office(always=True, week=()), policy(steps={"first_response": (), "resolution": (breach,)}))
    short = SOLUTION.model_copy(update={"target_seconds": 2 * 3600})
    planned = steps_to_arm(replace(STANDING, basis=short, due_at=after(4)), after(5), rules)
    assert [(one.step.key, one.at) for one in planned] == [("breach", after(4))]


def test_two_pauses_are_told_with_their_own_moments() -> None:
    events = [
        (opened(), after()),
        (moved("in_progress", "waiting_customer"), after(1)),
        (moved("waiting_customer", "in_progress"), after(3)),
        (moved("in_progress", "waiting_customer"), after(5)),
    ]
    paused, moves = tell(RULES, events)
    assert paused.clock("resolution", 1) == STANDING
    assert moves[-1].fact.model_dump()["paused_at"] == after(5)
    assert moves[-1].fact.model_dump()["elapsed_seconds"] == 3 * 3600
    early, moves = tell(RULES, [(moved("waiting_customer", "in_progress"), after(4))], paused)
    assert moves[-1].fact == ClockResumed(
        clock="resolution", cycle=1, generation=3, resumed_at=after(5), due_at=after(6)
    )
    assert early.clock("resolution", 1) == resume_clock(STANDING, after(5), RULES)


def test_a_clock_that_stands_still_is_not_paused_again() -> None:
    paused, _ = tell(RULES, [(opened(), after()), (moved("in_progress", "waiting_customer"), after(1))])
    again, moves = tell(RULES, [(moved("in_progress", "waiting_customer"), after(2))], paused)
    assert (again.clocks, moves) == (paused.clocks, [])


def test_a_cancelled_clock_tells_how_it_was() -> None:
    ticket, _ = tell(RULES, [(opened(), after())])
    _, moves = tell(RULES, [(moved("new", "spam"), after(2))], ticket)
    assert [move.before for move in moves] == list(ticket.clocks)


@pytest.mark.parametrize("stage", ["resolved", "closed"])
def test_what_is_closed_at_once_is_solved(stage: str) -> None:
    ticket, moves = tell(RULES, [(opened(), after()), (moved("in_progress", stage), after(2))])
    met = ticket.clock("resolution", 1)
    assert met is not None
    assert (met.state, met.ended_at, moves[-1].after) == ("met", after(2), met)


# Several clocks and several rules


BY_LEVEL = [
    policy(conditions=Conditions(levels=(2,)), resolution=2 * 3600, first_response=3600),
    policy(policy_id=UUID(int=101), order=20, resolution=4 * 3600, first_response=3600),
]


def test_a_new_level_is_told_with_who_gave_it() -> None:
    rules = book(office(always=True, week=()), *BY_LEVEL)
    _, moves = tell(rules, [(opened(), after()), (escalated(), after(1))])
    told = [move.fact for move in moves if isinstance(move.fact, SlaRecalculated)]
    assert [(fact.clock, fact.reason, fact.actor) for fact in told] == [
        ("first_response", "level", STAFF),
        ("resolution", "level", STAFF),
    ]


def test_a_clock_that_is_met_or_stays_as_it_is_keeps_none_after_it_from_moving() -> None:
    targets = [Target(clock="first_response", priority=one, seconds=3600) for one in ("medium", "high")]
    targets += [
        Target(clock="resolution", priority="medium", seconds=4 * 3600),
        Target(clock="resolution", priority="high", seconds=2 * 3600),
    ]
    rules = book(office(always=True, week=()), policy(targets=tuple(targets)))
    events = [(opened(), after()), (prioritised("medium", "high"), after(0.5))]
    _, moves = tell(rules, events)
    assert [move.after.name for move in moves[2:]] == ["resolution"]
    ticket, _ = tell(rules, [(opened(), after()), (answered(), after(0.5))])
    stored = replace(ticket, clocks=tuple(sorted(ticket.clocks, key=lambda clock: clock.name)))
    assert [clock.state for clock in stored.clocks] == ["met", "running"]
    high = replace(stored, circumstances=stored.circumstances.model_copy(update={"priority": "high"}))
    _, moves = recalculate(high, rules, at=after(1), reason="priority", actor=None)
    assert [move.after.name for move in moves] == ["resolution"]


@pytest.mark.parametrize("verified", [True, False])
def test_whether_a_customer_is_verified_is_remembered(verified: bool) -> None:
    ticket, _ = tell(RULES, [(opened(customer=Customer(contact_id=CONTACT, verified=verified)), after())])
    assert ticket.circumstances.verified is verified


def test_an_edit_that_was_not_for_open_clocks_has_no_part_in_one_that_is() -> None:
    other = policy(policy_id=UUID(int=101), order=5, conditions=Conditions(levels=(3,)))
    rules = book(office(), policy(resolution=4 * 3600), other)
    edited = rules.joined_by(
        [policy(version=2, resolution=2 * 3600), other.model_copy(update={"version": 2})]
    )
    assert edited.renew_basis("resolution", FOUND, SOLUTION, UUID(int=101)) == SOLUTION


def test_what_its_own_policy_lets_go_keeps_the_version_of_the_calendar() -> None:
    other = policy(policy_id=UUID(int=101), order=20, resolution=8 * 3600)
    rules = book(office(), policy(), other)
    edited = rules.joined_by([office(version=2), policy(version=2, active=False)])
    assert edited.renew_basis("resolution", FOUND, SOLUTION, POLICY) == Basis(
        policy_id=UUID(int=101),
        policy_version=1,
        calendar_id=CALENDAR,
        calendar_version=1,
        target_seconds=8 * 3600,
    )
