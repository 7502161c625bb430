"""Choosing: the first queue whose conditions hold, the operator who has waited longest, and every reason."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_events.conditions import Circumstances, Conditions
from deskline_routing.domain.choosing import (
    MOST_CANDIDATES,
    choose_operator,
    choose_queue,
    could_take,
)
from deskline_routing.domain.ids import FALLBACK_QUEUE
from deskline_routing.domain.office import Office, Operator, Queue

pytestmark = pytest.mark.unit

TEAM = UUID(int=0x7EA)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
FALLBACK = Queue(FALLBACK_QUEUE)
FOUND = Circumstances(line_id=UUID(int=1), channel="email", language="ru", level=1, priority="medium")


def queue(number: int, order: int = 0, **conditions: Any) -> Queue:
    return Queue(UUID(int=number), order=order, conditions=Conditions(**conditions))


def test_the_first_match_by_order_then_by_id_is_taken() -> None:
    queues = [queue(3, 1), queue(2, 1), queue(1, 2), queue(4, 0, levels=(2,)), FALLBACK]
    choice = choose_queue(Office([], queues), FOUND)
    assert choice.queue.queue_id == UUID(int=2)
    assert [(one.queue_id.int, one.unmet) for one in choice.considered] == [(4, ("levels",)), (2, ())]


def test_the_fallback_is_taken_last_whatever_its_order() -> None:
    choice = choose_queue(Office([], [queue(1, 5, languages=("en",)), FALLBACK]), FOUND)
    assert choice.queue.fallback
    assert [one.unmet for one in choice.considered] == [("languages",), ()]


def test_a_queue_that_is_switched_off_takes_nothing() -> None:
    off = replace(queue(1), active=False)
    assert choose_queue(Office([], [off, FALLBACK]), FOUND).queue.fallback


ids = st.uuids(version=4)
operators = st.builds(
    Operator,
    operator_id=ids,
    team_ids=st.sampled_from([frozenset(), frozenset({TEAM})]),
    skills=st.sampled_from([frozenset(), frozenset({"a"}), frozenset({"a", "b"})]),
    capacity=st.integers(0, 3).map(float),
    employed=st.booleans(),
    presence=st.sampled_from(["online", "online", "away", "offline"]),
    load=st.integers(0, 3).map(float),
    last_offered_at=st.none() | st.integers(0, 5).map(lambda n: NOW + timedelta(seconds=n)),
)
offices = st.lists(operators, max_size=12, unique_by=lambda one: one.operator_id)
queues = st.builds(
    Queue,
    queue_id=ids,
    team_id=st.sampled_from([None, TEAM]),
    skills=st.sampled_from([frozenset(), frozenset({"a"})]),
)


@given(offices, queues, st.data())
def test_the_chosen_one_is_available_and_has_waited_longest_and_all_others_have_a_reason(
    people: list[Operator], into: Queue, data: Any
) -> None:
    refused = data.draw(
        st.dictionaries(
            st.sampled_from([one.operator_id for one in people] or [TEAM]),
            st.sampled_from(["declined", "timed_out"]),
        )
    )
    office = Office(people, [into])
    choice = choose_operator(office, into, refused)
    by_id = {one.operator_id: one for one in people}
    assert {one.operator_id for one in choice.candidates} == {
        one.operator_id for one in office.team(into.team_id)
    }
    assert could_take(office, into, refused) == (choice.operator is not None)
    free = [by_id[one.operator_id] for one in choice.candidates if one.rejected is None]
    for one in free:
        assert one.available
        assert into.is_served_by(one)
        assert one.operator_id not in refused
    for candidate in choice.candidates:
        one = by_id[candidate.operator_id]
        fit = one.available and into.is_served_by(one) and one.operator_id not in refused
        assert (candidate.rejected is None) == fit
        assert (candidate.load, candidate.capacity) == (one.load, one.capacity)
    if choice.operator is None:
        assert not free
    else:
        longest = min(
            free,
            key=lambda one: (
                one.last_offered_at is not None,
                one.last_offered_at or NOW,
                one.operator_id,
            ),
        )
        assert choice.operator is longest


def person(number: int, **given: Any) -> Operator:
    fields: dict[str, Any] = {"presence": "online", "capacity": 1} | given
    return Operator(UUID(int=number), **fields)


REJECTED: list[tuple[dict[str, Any], str]] = [
    ({"presence": "away"}, "away"),
    ({"presence": "offline"}, "offline"),
    ({"load": 1}, "at_capacity"),
    ({"capacity": 0.5}, "at_capacity"),
    ({"skills": frozenset({"b"})}, "skill_missing"),
]


@pytest.mark.parametrize(("given", "reason"), REJECTED)
def test_each_rejection_has_its_reason(given: dict[str, Any], reason: str) -> None:
    into = replace(queue(9), skills=frozenset({"a"}))
    one = person(1, **({"skills": frozenset({"a"})} | given))
    choice = choose_operator(Office([one], [into]), into, {})
    assert (choice.operator, [found.rejected for found in choice.candidates]) == (None, [reason])


def test_the_preferred_one_comes_first_while_they_can_take_it() -> None:
    into = replace(queue(9), team_id=TEAM)
    team = frozenset({TEAM})
    late = NOW + timedelta(days=1)
    mine, other, alien = (
        person(1, team_ids=team, last_offered_at=late),
        person(2, team_ids=team),
        person(3),
    )
    office = Office([mine, other, alien], [into])
    assert choose_operator(office, into, {}, mine.operator_id).operator is mine
    assert choose_operator(office, into, {mine.operator_id: "declined"}, mine.operator_id).operator is other
    for preferred, reason in ((alien.operator_id, "not_in_team"), (UUID(int=77), "left")):
        choice = choose_operator(office, into, {}, preferred)
        assert choice.operator is other
        assert Counter(one.rejected for one in choice.candidates) == {None: 2, reason: 1}


def test_a_huge_team_is_named_in_part_and_with_the_chosen_one() -> None:
    crowd = [person(number, presence="offline") for number in range(1, MOST_CANDIDATES + 10)]
    chosen = person(MOST_CANDIDATES + 10)
    into = queue(9)
    choice = choose_operator(Office([*crowd, chosen], [into]), into, {})
    assert choice.operator is chosen
    assert len(choice.candidates) == MOST_CANDIDATES
    assert chosen.operator_id in {one.operator_id for one in choice.candidates}


def test_a_team_that_can_be_named_in_whole_is_named_in_the_order_of_asking() -> None:
    crowd = [person(number, presence="offline") for number in range(1, MOST_CANDIDATES)]
    chosen, into = person(MOST_CANDIDATES), queue(9)
    choice = choose_operator(Office([*crowd, chosen], [into]), into, {})
    assert choice.operator is chosen
    assert [one.operator_id.int for one in choice.candidates] == list(range(1, MOST_CANDIDATES + 1))
