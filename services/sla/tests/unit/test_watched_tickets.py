"""Given a ticket's facts, what is announced of its clocks."""

from datetime import timedelta

import pytest
from services.sla.tests.kit import (
    CALENDAR,
    CUSTOMER,
    LINE,
    OTHER_LINE,
    POLICY,
    STAFF,
    START,
    SYSTEM,
    after,
    answered,
    book,
    escalated,
    moved,
    names,
    office,
    opened,
    policy,
    prioritised,
    tell,
    wrote,
)

from deskline_events.conditions import Conditions
from deskline_events.sla import (
    ClockCancelled,
    ClockMet,
    ClockPaused,
    ClockResumed,
    ClockStarted,
    SlaRecalculated,
    Target,
)
from deskline_sla.domain.clock import elapsed_of
from deskline_sla.domain.defaults import DEFAULT_POLICY_ID
from deskline_sla.domain.watched import recalculate

pytestmark = pytest.mark.unit

PLAIN = book()


def test_a_persons_message_starts_both_clocks_when_it_came() -> None:
    ticket, moves = tell(PLAIN, [(opened(priority="high"), after(minutes=1))])
    assert names(moves) == ["ClockStarted first_response", "ClockStarted resolution"]
    first, solution = (move.fact for move in moves)
    assert isinstance(first, ClockStarted)
    assert isinstance(solution, ClockStarted)
    assert (first.started_at, first.due_at) == (START, after(1))
    assert solution.due_at == after(8)
    assert (first.generation, first.cycle, first.basis.policy_id) == (1, 1, DEFAULT_POLICY_ID)
    assert first.circumstances.priority == "high"
    assert [clock.state for clock in ticket.clocks] == ["running", "running"]


def test_a_machines_message_has_no_first_response() -> None:
    _, moves = tell(PLAIN, [(opened(kind="auto_reply"), after())])
    assert names(moves) == ["ClockStarted resolution"]


def test_only_an_operators_reply_meets_first_response_at_its_commit() -> None:
    ticket, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (moved("new", "in_progress"), after(1)),
            (wrote(after(1)), after(1)),
            (answered(), after(2)),
            (answered(), after(3)),
        ],
    )
    assert names(moves[2:]) == ["ClockMet first_response"]
    met = moves[2].fact
    assert isinstance(met, ClockMet)
    assert (met.met_at, met.due_at, met.elapsed_seconds, met.breached) == (after(2), after(4), 7200, False)
    clock = ticket.clock("first_response", 1)
    assert clock is not None
    assert (clock.state, clock.ended_at) == ("met", after(2))


@pytest.mark.parametrize(("late", "breached"), [(0, False), (1, True)])
def test_what_comes_at_due_is_in_time(late: int, breached: bool) -> None:
    _, moves = tell(PLAIN, [(opened(), after()), (answered(), after(4, microseconds=late))])
    met = moves[-1].fact
    assert isinstance(met, ClockMet)
    assert met.breached is breached


def test_waiting_for_the_customer_pauses_the_solution_alone() -> None:
    ticket, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (moved("in_progress", "waiting_customer"), after(3)),
            (wrote(after(10)), after(10, seconds=2)),
            (moved("waiting_customer", "in_progress", CUSTOMER), after(10, seconds=2)),
            (moved("in_progress", "resolved"), after(12)),
            (moved("resolved", "closed"), after(90)),
        ],
    )
    assert names(moves[2:]) == ["ClockPaused resolution", "ClockResumed resolution", "ClockMet resolution"]
    paused, resumed, met = (move.fact for move in moves[2:])
    assert isinstance(paused, ClockPaused)
    assert (paused.paused_at, paused.elapsed_seconds, paused.generation) == (after(3), 3 * 3600, 1)
    assert isinstance(resumed, ClockResumed)
    assert (resumed.resumed_at, resumed.due_at, resumed.generation) == (after(10), after(31), 2)
    assert isinstance(met, ClockMet)
    assert (met.elapsed_seconds, met.due_at, met.breached) == (5 * 3600, after(31), False)
    clock = ticket.clock("resolution", 1)
    assert clock is not None
    assert [(one.kind, one.reason, one.since, one.until) for one in clock.segments] == [
        ("run", "opened", after(), after(3)),
        ("pause", "waiting_customer", after(3), after(10)),
        ("run", "resumed", after(10), after(12)),
    ]
    assert ticket.clock("first_response", 1) is not None


@pytest.mark.parametrize("waiting", ["waiting_third_party", "waiting_until"])
def test_other_waiting_is_ours(waiting: str) -> None:
    _, moves = tell(PLAIN, [(opened(), after()), (moved("in_progress", waiting), after(3))])
    assert len(moves) == 2


def test_a_customers_message_from_before_the_pause_leaves_no_gap() -> None:
    ticket, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (moved("in_progress", "waiting_customer"), after(3)),
            (wrote(after(2)), after(4)),
            (moved("waiting_customer", "in_progress", CUSTOMER), after(4)),
        ],
    )
    resumed = moves[-1].fact
    assert isinstance(resumed, ClockResumed)
    assert (resumed.resumed_at, resumed.due_at) == (after(3), after(24))
    clock = ticket.clock("resolution", 1)
    assert clock is not None
    assert elapsed_of(clock, after(5), PLAIN) == timedelta(hours=5)


def test_resolved_while_paused_is_met_with_what_was_consumed() -> None:
    _, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (moved("in_progress", "waiting_customer"), after(3)),
            (moved("waiting_customer", "resolved", SYSTEM), after(171)),
        ],
    )
    met = moves[-1].fact
    assert isinstance(met, ClockMet)
    assert (met.elapsed_seconds, met.breached) == (3 * 3600, False)
    assert met.due_at == after(171 + 21)


def test_paused_after_it_was_due_it_stays_breached() -> None:
    _, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (moved("in_progress", "waiting_customer"), after(25)),
            (moved("waiting_customer", "in_progress"), after(30)),
            (moved("in_progress", "resolved"), after(31)),
        ],
    )
    resumed, met = (move.fact for move in moves[-2:])
    assert isinstance(resumed, ClockResumed)
    assert resumed.due_at == after(24)
    assert isinstance(met, ClockMet)
    assert (met.breached, met.due_at, met.elapsed_seconds) == (True, after(24), 26 * 3600)


@pytest.mark.parametrize("end", ["spam", "merged", "abandoned"])
def test_an_end_without_a_solution_cancels_what_still_runs(end: str) -> None:
    _, moves = tell(
        PLAIN, [(opened(), after()), (answered(), after(1)), (moved("in_progress", end), after(2))]
    )
    assert names(moves[3:]) == ["ClockCancelled resolution"]
    cancelled = moves[-1].fact
    assert isinstance(cancelled, ClockCancelled)
    assert (cancelled.reason, cancelled.cancelled_at) == (end, after(2))


def test_a_reopening_starts_a_clock_of_its_own_from_the_customers_message() -> None:
    ticket, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (answered(), after(1)),
            (moved("in_progress", "resolved"), after(2)),
            (wrote(after(30)), after(30, seconds=3)),
            (moved("resolved", "in_progress", CUSTOMER, cycle=2), after(30, seconds=3)),
        ],
    )
    started = moves[-1].fact
    assert isinstance(started, ClockStarted)
    assert (started.clock, started.cycle, started.started_at, started.due_at) == (
        "resolution",
        2,
        after(30),
        after(54),
    )
    assert [clock.cycle for clock in ticket.clocks if clock.is_open] == [2]


def test_an_operators_reopening_starts_at_its_commit() -> None:
    _, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (moved("new", "resolved"), after(2)),
            (moved("resolved", "in_progress", STAFF, cycle=2), after(5)),
        ],
    )
    started = moves[-1].fact
    assert isinstance(started, ClockStarted)
    assert started.started_at == after(5)


def test_a_higher_priority_keeps_what_was_consumed_under_the_new_target() -> None:
    ticket, moves = tell(PLAIN, [(opened(), after()), (prioritised("medium", "high"), after(0.5))])
    assert names(moves[2:]) == ["SlaRecalculated first_response", "SlaRecalculated resolution"]
    fact = moves[2].fact
    assert isinstance(fact, SlaRecalculated)
    assert (fact.before_due_at, fact.due_at, fact.generation) == (after(4), after(1), 2)
    assert (fact.before.target_seconds, fact.basis.target_seconds) == (14400, 3600)
    assert (fact.reason, fact.actor) == ("priority", STAFF)
    assert ticket.circumstances.priority == "high"


def test_consumed_under_one_calendar_stays_consumed_under_another() -> None:
    # Under the default policy until noon; then by office hours, which end at 15:00 UTC.
    rules = book(office(), policy(conditions=Conditions(levels=(2,)), resolution=8 * 3600))
    ticket, moves = tell(rules, [(opened(), after()), (escalated(), after(3))])
    fact = next(move.fact for move in moves if move.after.name == "resolution" and move.before)
    assert isinstance(fact, SlaRecalculated)
    assert (fact.reason, fact.basis.policy_id) == ("level", POLICY)
    # Three hours are gone, three more until 15:00 UTC, two on the next morning from 6:00 UTC.
    assert fact.due_at == after(24 - 1)
    assert ticket.circumstances.level == 2


def test_a_breach_that_happened_stays() -> None:
    _, moves = tell(
        PLAIN,
        [
            (opened(priority="critical"), after()),
            (prioritised("critical", "low"), after(5)),
            (moved("new", "resolved"), after(6)),
        ],
    )
    recalculated, met = moves[-2].fact, moves[-1].fact
    assert isinstance(recalculated, SlaRecalculated)
    assert recalculated.due_at == after(72)
    assert isinstance(met, ClockMet)
    assert met.breached


def test_a_paused_clock_is_recalculated_without_running() -> None:
    ticket, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (moved("in_progress", "waiting_customer"), after(3)),
            (prioritised("medium", "high"), after(5)),
            (moved("waiting_customer", "in_progress"), after(10)),
        ],
    )
    recalculated, resumed = moves[-2].fact, moves[-1].fact
    assert isinstance(recalculated, SlaRecalculated)
    assert (recalculated.clock, recalculated.generation) == ("resolution", 2)
    assert recalculated.due_at == after(8)
    assert isinstance(resumed, ClockResumed)
    assert (resumed.due_at, resumed.generation) == (after(15), 3)
    assert ticket.clock("resolution", 1) is not None


def test_a_paused_clock_that_consumed_its_new_target_is_breached() -> None:
    ticket, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (moved("in_progress", "waiting_customer"), after(10)),
            (prioritised("medium", "high"), after(11)),
            (moved("waiting_customer", "resolved"), after(12)),
        ],
    )
    met = moves[-1].fact
    assert isinstance(met, ClockMet)
    assert (met.breached, met.due_at) == (True, after(8))
    clock = ticket.clock("resolution", 1)
    assert clock is not None
    assert clock.breached_since == after(8)


def test_a_move_by_the_customer_without_a_message_counts_from_its_commit() -> None:
    _, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (wrote(after(1)), after(1)),
            (moved("in_progress", "waiting_customer"), after(3)),
            (moved("waiting_customer", "in_progress", CUSTOMER), after(10)),
        ],
    )
    resumed = moves[-1].fact
    assert isinstance(resumed, ClockResumed)
    assert resumed.resumed_at == after(10)


def test_what_changes_nothing_is_not_recalculated() -> None:
    _, moves = tell(PLAIN, [(opened(), after()), (escalated(), after(1))])
    assert len(moves) == 2


def test_an_ended_clock_is_left_alone() -> None:
    _, moves = tell(
        PLAIN,
        [
            (opened(), after()),
            (answered(), after(1)),
            (moved("in_progress", "resolved"), after(2)),
            (prioritised("medium", "high"), after(3)),
            (moved("resolved", "closed"), after(4)),
        ],
    )
    assert names(moves[2:]) == ["ClockMet first_response", "ClockMet resolution"]


def test_the_first_policy_by_order_that_matches_and_has_a_target_is_taken() -> None:
    elsewhere = policy(order=1, conditions=Conditions(line_ids=(OTHER_LINE,)))
    here = policy(policy_id=LINE, order=2, conditions=Conditions(line_ids=(LINE,)), first_response=60)
    only_critical = (Target(clock="first_response", priority="critical", seconds=1),)
    urgent = policy(policy_id=OTHER_LINE, order=0, targets=only_critical)
    off = policy(policy_id=CALENDAR, order=0, active=False, first_response=5)
    rules = book(office(), elsewhere, here, urgent, off)
    ticket, _ = tell(rules, [(opened(), after())])
    assert {clock.basis.policy_id for clock in ticket.clocks} == {LINE}
    ticket, _ = tell(rules, [(opened(priority="critical"), after())])
    found = {clock.name: clock.basis.policy_id for clock in ticket.clocks}
    assert found == {"first_response": OTHER_LINE, "resolution": LINE}


def test_an_edit_is_for_what_begins_after_it_unless_it_is_told_to_apply() -> None:
    before = book(office(), policy())
    ticket, _ = tell(before, [(opened(), after())])
    edited = before.joined_by([policy(version=2, resolution=3600), office(version=2, always=True, week=())])
    kept, moves = tell(edited, [(prioritised("medium", "high"), after(0.5))], ticket)
    assert moves == []
    applied, moves = recalculate(kept, edited, at=after(0.5), reason="policy", actor=STAFF, rule_id=POLICY)
    assert set(names(moves)) == {"SlaRecalculated first_response", "SlaRecalculated resolution"}
    clock = applied.clock("resolution", 1)
    assert clock is not None
    assert (clock.basis.policy_version, clock.basis.calendar_version) == (2, 1)
    assert clock.due_at == after(1)
    applied, _ = recalculate(applied, edited, at=after(0.6), reason="calendar", actor=None, rule_id=CALENDAR)
    clock = applied.clock("first_response", 1)
    assert clock is not None
    assert (clock.basis.policy_version, clock.basis.calendar_version) == (2, 2)
    fresh, _ = tell(edited, [(opened(), after())])
    assert {(one.basis.policy_version, one.basis.calendar_version) for one in fresh.clocks} == {(2, 2)}


def test_an_edit_that_lets_a_ticket_go_leaves_it_to_the_next_policy() -> None:
    before = book(office(), policy())
    ticket, _ = tell(before, [(opened(), after())])
    edited = before.joined_by([policy(version=2, conditions=Conditions(line_ids=(OTHER_LINE,)))])
    applied, _ = recalculate(ticket, edited, at=after(1), reason="policy", actor=None, rule_id=POLICY)
    assert {one.basis.policy_id for one in applied.clocks} == {DEFAULT_POLICY_ID}


def test_facts_before_the_opening_and_repeats_of_it_move_nothing() -> None:
    ticket, moves = tell(PLAIN, [(answered(), after()), (opened(), after()), (opened(), after(1))])
    assert len(moves) == 2
    assert [clock.started_at for clock in ticket.clocks] == [START, START]
