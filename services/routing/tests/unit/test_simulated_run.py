"""A simulated run of the pure part: fair, within limits, and nobody waits for whom somebody is there."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from deskline_events.conditions import Circumstances
from deskline_events.routing import NobodyAvailable, OfferMade
from deskline_routing.domain.choosing import could_take
from deskline_routing.domain.deciding import OfferClock, Ruling, decide, reconsider
from deskline_routing.domain.ids import FALLBACK_QUEUE
from deskline_routing.domain.office import Office, Operator, Queue
from deskline_routing.domain.ticket import Ticket

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, tzinfo=UTC)
QUEUE = Queue(FALLBACK_QUEUE)
FOUND = Circumstances(line_id=UUID(int=1), channel="email", language="ru", level=1, priority="medium")


def ticket(number: int) -> Ticket:
    since = NOW + timedelta(seconds=number)
    return Ticket(UUID(int=number), UUID(int=number), since, FOUND, queue_id=QUEUE.queue_id)


def person(number: int, capacity: float = 1e6) -> Operator:
    return Operator(UUID(int=number), capacity=capacity, presence="online")


def holder(made: Ruling | None) -> UUID:
    assert made is not None
    assert isinstance(made.fact, OfferMade)
    return made.fact.operator_id


@given(st.integers(1, 12), st.lists(st.integers(1, 9), max_size=12))
def test_at_equal_availability_counts_differ_by_at_most_one(people: int, batches: list[int]) -> None:
    office = Office([person(number) for number in range(people)], [QUEUE])
    counts: Counter[UUID] = Counter(dict.fromkeys(office.operators, 0))
    opened = 0
    for batch in batches:
        clock = OfferClock(office, NOW)  # no time passes between transactions, or even runs backwards
        for _ in range(batch):
            opened += 1
            counts[holder(decide(office, clock, ticket(opened)))] += 1
            assert max(counts.values()) - min(counts.values()) <= 1


@given(st.integers(2, 6), st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_counts_stay_even_whatever_becomes_of_the_offers(people: int, fates: list[int]) -> None:
    """Each offer ends (accepted and resolved, or let pass) before the next ticket comes."""
    office = Office([person(number, capacity=1) for number in range(people)], [QUEUE])
    counts: Counter[UUID] = Counter(dict.fromkeys(office.operators, 0))
    for number, fate in enumerate(fates):
        made = decide(office, OfferClock(office, NOW + fate * timedelta(minutes=1)), ticket(number))
        counts[holder(made)] += 1
        office.operators[holder(made)].load -= 1
    assert max(counts.values()) - min(counts.values()) <= 1


class Run(RuleBasedStateMachine):
    """Tickets are offered, accepted, declined and resolved while people come and go."""

    open_offers = Bundle("open_offers")
    accepted = Bundle("accepted")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.number = 0
        self.waiting: dict[UUID, Ticket] = {}
        self.attempts: set[tuple[UUID, int]] = set()

    @initialize(capacities=st.lists(st.integers(0, 3), min_size=1, max_size=5))
    def begin(self, capacities: list[int]) -> None:
        people = [person(number, capacity) for number, capacity in enumerate(capacities)]
        self.office = Office(people, [QUEUE])

    @property
    def clock(self) -> OfferClock:
        self.now += timedelta(seconds=1)
        return OfferClock(self.office, self.now)

    def keep(self, made: Ruling | None, before: Ticket) -> Any:
        after = before if made is None else made.ticket
        if made is not None:
            assert isinstance(made.fact, OfferMade | NobodyAvailable)
            decision = after.ticket_id, made.fact.attempt
            assert decision not in self.attempts
            self.attempts.add(decision)
        self.waiting.pop(after.ticket_id, None)
        if after.offer is None:
            assert after.waiting
            self.waiting[after.ticket_id] = after
            return None
        return after

    def wake(self, gained: set[UUID], *, restart: bool) -> list[Ticket]:
        found = []
        for one in sorted(self.waiting.values(), key=lambda one: one.waiting_since):
            made = reconsider(self.office, self.clock, one, gained, restart=restart)
            kept = self.keep(made, one)
            if kept is not None:
                found.append(kept)
        return found

    @rule(target=open_offers)
    def arrive(self) -> Any:
        self.number += 1
        one = ticket(self.number)
        kept = self.keep(decide(self.office, self.clock, one), one)
        return multiple() if kept is None else kept

    @rule(target=accepted, one=consumes(open_offers))
    def accept(self, one: Ticket) -> Ticket:
        return one

    @rule(target=open_offers, one=consumes(open_offers), how=st.sampled_from(["declined", "timed_out"]))
    def refuse(self, one: Ticket, how: Any) -> Any:
        assert one.offer is not None
        operator = one.offer.operator_id
        self.office.carry([operator], -1)
        after = replace(one, offer=None, refused_by={**one.refused_by, operator: how})
        kept = self.keep(decide(self.office, self.clock, after), after)
        if kept is not None:
            assert kept.offer.operator_id not in after.refused_by
        return multiple(*([] if kept is None else [kept]), *self.wake({operator}, restart=False))

    @rule(target=open_offers, one=consumes(accepted))
    def resolve(self, one: Ticket) -> Any:
        assert one.offer is not None
        self.office.carry([one.offer.operator_id], -1)
        return multiple(*self.wake({one.offer.operator_id}, restart=True))

    @rule(target=open_offers, number=st.integers(0, 4), state=st.sampled_from(["online", "away", "offline"]))
    def change_presence(self, number: int, state: Any) -> Any:
        operator = self.office.operators.get(UUID(int=number))
        if operator is None:
            return multiple()
        operator.presence = state
        return multiple(*self.wake({operator.operator_id}, restart=True)) if state == "online" else multiple()

    @rule(target=open_offers)
    def sweep(self) -> Any:
        found = self.wake(set(self.office.operators), restart=True)
        if any(one.available for one in self.office.operators.values()):
            assert not self.waiting
        return multiple(*found)

    @invariant()
    def nobody_carries_more_than_they_can(self) -> None:
        for operator in getattr(self, "office", Office([], [])).operators.values():
            assert 0 <= operator.load <= operator.capacity

    @invariant()
    def nobody_waits_who_could_be_offered(self) -> None:
        for one in self.waiting.values():
            assert not could_take(self.office, QUEUE, one.refused_by)


TestRun = Run.TestCase
TestRun.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
