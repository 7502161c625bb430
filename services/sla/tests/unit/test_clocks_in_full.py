"""Given a ticket's facts, then whole clocks and whole announcements; and what is there from the beginning."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from services.sla.tests.kit import (
    CONTACT,
    CUSTOMER,
    LINE,
    OTHER_LINE,
    POLICY,
    STAFF,
    START,
    TICKET,
    after,
    answered,
    book,
    message,
    moved,
    office,
    opened,
    policy,
    prioritised,
    tell,
    wrote,
)
from services.sla.tests.told_clocks import FIRST, RULES, SOLUTION, pause, run, running

from deskline_events.conditions import Circumstances, Conditions
from deskline_events.facts import Customer
from deskline_events.sla import (
    Basis,
    ClockCancelled,
    ClockMet,
    ClockPaused,
    ClockResumed,
    ClockStarted,
    SlaRecalculated,
    Target,
)
from deskline_sla.domain.clock import (
    Clock,
    cancel_clock,
    meet_clock,
    pause_clock,
    recalculate_clock,
    resume_clock,
)
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.watched import FACTS, WatchedTicket, recalculate

pytestmark = pytest.mark.unit


# Started


def test_an_opened_ticket_in_whole() -> None:
    customer = Customer(
        contact_id=CONTACT, tier="gold", company_id=UUID(int=77), new=True, verified=True, locale="en"
    )
    told = opened(priority="high", level=2, customer=customer)
    ticket, moves = tell(RULES, [(told, after(1))])
    found = Circumstances(
        line_id=LINE,
        channel="email",
        language="en",
        level=2,
        priority="high",
        tier="gold",
        company_id=UUID(int=77),
        new_contact=True,
        verified=True,
    )
    clocks = (
        Clock("first_response", 1, 1, "running", FIRST, after(1), (run("opened", 0),)),
        Clock("resolution", 1, 1, "running", SOLUTION, after(4), (run("opened", 0),)),
    )
    assert ticket == WatchedTicket(TICKET, found, 1, START, clocks)
    assert [(move.before, move.after) for move in moves] == [(None, clock) for clock in clocks]
    assert [move.fact for move in moves] == [
        ClockStarted(
            clock=clock.name,
            cycle=1,
            generation=1,
            started_at=START,
            due_at=clock.due_at,
            basis=clock.basis,
            circumstances=found,
        )
        for clock in clocks
    ]
    # Compared above with what has the same defaults.
    assert {(one.ended_at, one.breached_since, one.fired) for one in ticket.clocks} == {(None, None, ())}


def test_a_reopened_ticket_has_a_clock_of_that_reason_and_cycle() -> None:
    ticket, moves = tell(
        RULES,
        [
            (opened(), after()),
            (moved("new", "resolved"), after(1)),
            (moved("resolved", "in_progress", cycle=2), after(5)),
        ],
    )
    assert ticket.cycle == 2
    assert ticket.clock("resolution", 2) == Clock(
        "resolution", 2, 1, "running", SOLUTION, after(9), (run("reopened", 5),)
    )
    assert moves[-1].before is None


def test_no_policy_measures_what_none_matches() -> None:
    nowhere = RuleBook().joined_by([office(), policy(conditions=Conditions(line_ids=(OTHER_LINE,)))])
    ticket, moves = tell(nowhere, [(opened(), after())])
    assert (ticket.clocks, moves) == ((), [])


# Paused, resumed, met, cancelled


def test_a_pause_and_what_ends_it_in_whole() -> None:
    events = [(opened(), after()), (moved("in_progress", "waiting_customer"), after(1))]
    paused, moves = tell(RULES, events)
    standing = running(state="paused", segments=(run("opened", 0, 1), pause(1)))
    assert paused.clock("resolution", 1) == standing
    assert (moves[-1].before, moves[-1].after) == (running(), standing)
    assert moves[-1].fact == ClockPaused(
        clock="resolution",
        cycle=1,
        generation=1,
        paused_at=after(1),
        elapsed_seconds=3600,
        reason="waiting_customer",
    )
    resumed, moves = tell(RULES, [(moved("waiting_customer", "in_progress"), after(3))], paused)
    again = running(
        generation=2, due_at=after(6), segments=(run("opened", 0, 1), pause(1, 3), run("resumed", 3))
    )
    assert resumed.clock("resolution", 1) == again
    assert (moves[-1].before, moves[-1].after) == (standing, again)
    assert moves[-1].fact == ClockResumed(
        clock="resolution", cycle=1, generation=2, resumed_at=after(3), due_at=after(6)
    )
    met, moves = tell(RULES, [(moved("in_progress", "resolved"), after(5))], resumed)
    done = replace(
        again,
        state="met",
        ended_at=after(5),
        segments=(run("opened", 0, 1), pause(1, 3), run("resumed", 3, 5)),
    )
    assert met.clock("resolution", 1) == done
    assert (moves[-1].before, moves[-1].after) == (again, done)
    assert moves[-1].fact == ClockMet(
        clock="resolution",
        cycle=1,
        generation=2,
        met_at=after(5),
        due_at=after(6),
        elapsed_seconds=3 * 3600,
        breached=False,
    )


def test_a_cancelled_clock_in_whole() -> None:
    ticket, moves = tell(RULES, [(opened(), after()), (moved("new", "spam"), after(2))])
    done = running(state="cancelled", ended_at=after(2), segments=(run("opened", 0, 2),))
    assert ticket.clock("resolution", 1) == done
    assert moves[-1].fact == ClockCancelled(
        clock="resolution", cycle=1, generation=1, cancelled_at=after(2), reason="spam"
    )
    assert [move.fact.TYPE for move in moves[2:]] == [ClockCancelled.TYPE] * 2


def test_what_is_late_is_breached_since_it_was_due_whatever_happens_to_it() -> None:
    late = after(4, microseconds=1)
    for changed in (
        pause_clock(running(), late),
        cancel_clock(running(), late),
        meet_clock(running(), late, RULES),
        recalculate_clock(running(), FIRST, RULES, at=late, reason="priority"),
    ):
        assert changed.breached_since == after(4)
    for in_time in (pause_clock(running(), after(4)), cancel_clock(running(), after(4))):
        assert in_time.breached_since is None
    before = running(breached_since=after(2))
    assert pause_clock(before, late).breached_since == after(2)


def test_a_clock_that_stood_still_ran_until_then() -> None:
    standing = running(state="paused", segments=(run("opened", 0, 1), pause(1)))
    assert resume_clock(standing, after(9), RULES).breached_since is None
    assert cancel_clock(standing, after(9)).breached_since is None
    overdue = replace(standing, due_at=after(0.5))
    assert resume_clock(overdue, after(9), RULES).breached_since == after(0.5)
    assert cancel_clock(overdue, after(9)).breached_since == after(0.5)


def test_what_was_met_while_it_stood_still_would_have_been_due_as_if_it_ran_on() -> None:
    standing = running(state="paused", segments=(run("opened", 0, 1), pause(1)))
    met = meet_clock(standing, after(10), RULES)
    assert (met.due_at, met.ended_at, met.state) == (after(13), after(10), "met")
    assert met.segments == (run("opened", 0, 1), pause(1, 10))
    # What came before the pause was committed counts from the pause.
    assert meet_clock(standing, after(0.5), RULES).due_at == after(1) + timedelta(hours=3.5)
    consumed = replace(standing, basis=FIRST.model_copy(update={"target_seconds": 60}))
    assert meet_clock(consumed, after(10), RULES).due_at == after(10)
    overdue = replace(standing, due_at=after(0.5))
    assert meet_clock(overdue, after(10), RULES).due_at == after(0.5)


def test_a_moment_before_the_last_segment_leaves_it_empty_and_no_gap() -> None:
    assert pause_clock(running(), after(-1)).segments == (run("opened", 0, 0), pause(0))
    twice = running(segments=(run("opened", 0, 2), pause(2, 3), run("resumed", 3)))
    assert pause_clock(twice, after(3)).segments == (run("opened", 0, 2), pause(2, 3), pause(3))
    assert cancel_clock(twice, after(2.5)).segments == (run("opened", 0, 2), pause(2, 2.5))
    assert cancel_clock(twice, after(1)).segments == (run("opened", 0, 1),)
    standing = running(state="paused", segments=(run("opened", 0, 1), pause(1)))
    assert resume_clock(standing, after(0.5), RULES).segments == (run("opened", 0, 0.5), run("resumed", 0.5))
    unbegun = running(state="paused", segments=(run("opened", 0, 0), pause(0)))
    assert resume_clock(unbegun, after(-1), RULES).segments == (run("opened", 0, 0), run("resumed", 0))


# Recalculated


def test_a_recalculated_clock_in_whole() -> None:
    ticket, moves = tell(PRIORITIES, [(opened(), after()), (prioritised("medium", "high"), after(1))])
    before = replace(running(), basis=basis_of(4))
    moved_on = replace(
        before,
        basis=basis_of(2),
        generation=2,
        due_at=after(2),
        segments=(run("opened", 0, 1), run("priority", 1)),
    )
    assert ticket.clock("resolution", 1) == moved_on
    assert (moves[-1].before, moves[-1].after) == (before, moved_on)
    assert moves[-1].fact == SlaRecalculated(
        clock="resolution",
        cycle=1,
        generation=2,
        before=basis_of(4),
        before_due_at=after(4),
        basis=basis_of(2),
        due_at=after(2),
        reason="priority",
        actor=STAFF,
    )


def basis_of(hours: int) -> Basis:
    return SOLUTION.model_copy(update={"target_seconds": hours * 3600})


BY_PRIORITY: dict[Any, int] = {"low": 8, "medium": 4, "high": 2, "critical": 1}
PRIORITIES = book(
    office(always=True, week=()),
    policy(
        targets=tuple(
            Target(clock=clock, priority=priority, seconds=hours * 3600)
            for clock in ("first_response", "resolution")
            for priority, hours in BY_PRIORITY.items()
        )
    ),
)


def test_a_clock_that_stands_still_gets_its_target_and_no_segment() -> None:
    standing = running(state="paused", segments=(run("opened", 0, 1), pause(1)))
    moved_on = recalculate_clock(standing, FIRST, RULES, at=after(5), reason="policy")
    assert moved_on == replace(standing, basis=FIRST, generation=2, due_at=after(1))


def test_what_is_recalculated_before_it_began_begins_then() -> None:
    early = recalculate_clock(running(), FIRST, RULES, at=after(-1), reason="calendar")
    assert early.segments == (run("opened", 0, 0), run("calendar", 0))


def test_only_clocks_that_are_open_and_measured_otherwise_move() -> None:
    edited = RULES.joined_by([policy(version=2, resolution=2 * 3600, first_response=3600)])
    ticket, _ = tell(RULES, [(opened(), after()), (answered(), after(0.5))])
    changed, moves = recalculate(ticket, edited, at=after(1), reason="policy", actor=None, rule_id=POLICY)
    assert [move.after.name for move in moves] == ["resolution"]
    assert changed.clock("first_response", 1) == ticket.clock("first_response", 1)
    again, moves = recalculate(changed, edited, at=after(1), reason="policy", actor=None, rule_id=POLICY)
    assert (again, moves) == (changed, [])


def test_a_customer_who_wrote_last_is_remembered_until_anything_else_happens() -> None:
    ticket, _ = tell(RULES, [(opened(), after()), (wrote(after(1)), after(1.5))])
    assert ticket.customer_wrote_at == after(1)
    later, _ = tell(RULES, [(moved("new", "in_progress"), after(2))], ticket)
    assert later.customer_wrote_at is None


@pytest.mark.parametrize(
    ("actor", "wrote_at", "since"), [(CUSTOMER, 5.0, 5.0), (STAFF, 5.0, 6.0), (CUSTOMER, 7.0, 6.0)]
)
def test_what_a_customers_message_brought_about_counts_from_when_it_came_and_never_from_later(
    actor: Any, wrote_at: float, since: float
) -> None:
    _, moves = tell(
        RULES,
        [
            (opened(), after()),
            (moved("in_progress", "waiting_customer"), after(1)),
            (wrote(after(wrote_at)), after(6)),
            (moved("waiting_customer", "in_progress", actor), after(6)),
        ],
    )
    fact = moves[-1].fact
    assert isinstance(fact, ClockResumed)
    assert fact.resumed_at == after(since)


def test_a_ticket_that_is_taken_runs_on() -> None:
    ticket, _ = tell(RULES, [(opened(), after())])
    same, moves = tell(RULES, [(moved("new", "in_progress"), after(1))], ticket)
    assert (same, moves) == (replace(ticket, customer_wrote_at=None), [])


def test_these_facts_move_clocks() -> None:
    assert [fact.__name__ for fact in FACTS] == [
        "TicketOpened",
        "CustomerReplied",
        "OperatorReplied",
        "StageChanged",
        "PriorityChanged",
        "Escalated",
    ]


def test_a_machines_opening_is_measured_by_its_solution_alone() -> None:
    ticket, _ = tell(RULES, [(opened(message=message(START, "list")), after())])
    assert [clock.name for clock in ticket.clocks] == ["resolution"]
