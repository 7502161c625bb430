"""`clocks(events, rules)` is pure: any story replayed gives what was announced, and sums that hold."""

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.sla.tests.kit import (
    CUSTOMER,
    START,
    TICKET,
    answered,
    book,
    escalated,
    moved,
    office,
    opened,
    policy,
    prioritised,
    tell,
    wrote,
)

from deskline_events.conditions import Conditions
from deskline_events.facts import Fact, Priority
from deskline_events.sla import (
    ClockMet,
    ClockPaused,
    ClockResumed,
    ClockStarted,
    SlaRecalculated,
)
from deskline_sla.domain.business_time import BusinessTime
from deskline_sla.domain.clock import Clock, elapsed_of
from deskline_sla.domain.watched import Happened, clocks

pytestmark = pytest.mark.unit

RULES = book(office(), policy(conditions=Conditions(priorities=("high",), levels=(1, 2))))
Story = list[tuple[Fact, datetime]]
MOVES = {
    "new": ("in_progress", "resolved", "spam"),
    "in_progress": ("waiting_customer", "waiting_third_party", "resolved", "spam"),
    "waiting_customer": ("in_progress", "resolved", "spam"),
    "waiting_third_party": ("in_progress", "resolved"),
    "resolved": ("closed", "in_progress"),
    "closed": ("in_progress",),
    "spam": (),
}


@st.composite
def stories(draw: st.DrawFn) -> Story:
    at = START + timedelta(minutes=draw(st.integers(0, 10_000)))
    kind = draw(st.sampled_from(("human", "human", "auto_reply")))
    priority: Priority = draw(st.sampled_from(("low", "medium", "high", "critical")))
    level, stage, cycle = 1, "new", 1
    story: Story = [(opened(at, kind, priority), at + timedelta(seconds=1))]
    for _ in range(draw(st.integers(0, 12))):
        at += timedelta(seconds=draw(st.integers(1, 100_000)))
        happening = draw(st.sampled_from(("move", "move", "move", "answer", "write", "priority", "level")))
        if happening == "answer":
            story.append((answered(), at))
        elif happening == "write":
            story.append((wrote(at - timedelta(seconds=draw(st.integers(0, 600)))), at))
        elif happening == "priority":
            before, priority = priority, draw(st.sampled_from(("low", "medium", "high", "critical")))
            story.append((prioritised(before, priority), at))
        elif happening == "level":
            before_level, level = level, draw(st.integers(1, 3))
            story.append((escalated(before_level, level), at))
        elif MOVES[stage]:
            following = draw(st.sampled_from(MOVES[stage]))
            cycle += stage in {"resolved", "closed"} and following == "in_progress"
            by_customer = stage == "waiting_customer" and following == "in_progress" and draw(st.booleans())
            actor = {"actor": CUSTOMER} if by_customer else {}
            story.append((moved(stage, following, cycle=cycle, **actor), at))
            stage = following
    return story


@settings(max_examples=200, deadline=None)
@given(stories())
def test_replayed_alone_a_story_gives_the_same_clocks(story: Story) -> None:
    ticket, _ = tell(RULES, story)
    assert clocks(TICKET, (Happened(fact, at) for fact, at in story), RULES) == ticket


@settings(max_examples=200, deadline=None)
@given(stories(), st.lists(st.integers(0, 13), max_size=3))
def test_any_cut_of_a_story_gives_the_same_announcements(story: Story, cuts: list[int]) -> None:
    whole, told = tell(RULES, story)
    ticket, parts = None, []
    edges = [0, *sorted(cut for cut in cuts if cut < len(story)), len(story)]
    for begin, end in itertools.pairwise(edges):
        if begin < end:
            ticket, moves = tell(RULES, story[begin:end], ticket)
            parts += moves
    assert ticket == whole
    assert parts == told


@settings(max_examples=300, deadline=None)
@given(stories())
def test_generations_rise_by_one_with_each_due_moment_that_is_announced(story: Story) -> None:
    ticket, moves = tell(RULES, story)
    for clock in ticket.clocks:
        facts = [m.fact for m in moves if (m.after.name, m.after.cycle) == (clock.name, clock.cycle)]
        moving = [f for f in facts if isinstance(f, ClockStarted | ClockResumed | SlaRecalculated)]
        assert [fact.generation for fact in moving] == list(range(1, len(moving) + 1))
        assert clock.generation == len(moving)
        if clock.is_open:
            assert clock.due_at == moving[-1].due_at


@settings(max_examples=300, deadline=None)
@given(stories(), st.integers(0, 200_000))
def test_elapsed_is_the_business_time_of_its_runs_and_pauses_add_nothing(story: Story, later: int) -> None:
    ticket, moves = tell(RULES, story)
    now = story[-1][1] + timedelta(seconds=later)
    for clock in ticket.clocks:
        _check_segments(clock)
        total = timedelta()
        for segment in clock.segments:
            if segment.kind == "run":
                time: BusinessTime = RULES.calendars[segment.calendar_id, segment.calendar_version]
                total += time.elapsed(segment.since, segment.until or now)
        assert elapsed_of(clock, now, RULES) == total
    for move in moves:
        if isinstance(move.fact, ClockMet | ClockPaused):
            at = move.fact.met_at if isinstance(move.fact, ClockMet) else move.fact.paused_at
            assert move.fact.elapsed_seconds == int(elapsed_of(move.after, at, RULES).total_seconds())


@settings(max_examples=300, deadline=None)
@given(stories())
def test_a_running_clock_is_due_when_its_target_is_consumed(story: Story) -> None:
    ticket, _ = tell(RULES, story)
    for clock in ticket.clocks:
        if clock.state == "running":
            assert elapsed_of(clock, clock.due_at, RULES) == clock.target
            before = clock.due_at - timedelta(microseconds=1)
            assert elapsed_of(clock, before, RULES) < clock.target
        if clock.state == "met" and clock.breached_since is None:
            assert clock.ended_at is not None
            assert clock.ended_at <= clock.due_at
            assert elapsed_of(clock, clock.ended_at, RULES) <= clock.target


def _check_segments(clock: Clock) -> None:
    """Without gaps and overlaps, the last one open as long as the clock is."""
    for one, following in zip(clock.segments, clock.segments[1:], strict=False):
        assert one.until == following.since
        assert one.since <= following.since
    assert (clock.segments[-1].until is None) == clock.is_open
