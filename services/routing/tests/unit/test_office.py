"""The office: who is in a team, who has room, what they could take from, by which team they hold it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from deskline_events.conditions import Conditions
from deskline_routing.domain.ids import FALLBACK_QUEUE, NAMESPACE, offer_id_of
from deskline_routing.domain.office import Office, Operator, Queue

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, tzinfo=UTC)
OLGA, OLEG, TEAM, OTHER_TEAM, QUEUE, OPEN_QUEUE, STRANGER = (UUID(int=number) for number in range(1, 8))


def person(operator_id: UUID, **given: Any) -> Operator:
    fields: dict[str, Any] = {"presence": "online", "team_ids": frozenset({TEAM})} | given
    return Operator(operator_id, **fields)


def test_an_operator_is_by_default_away_from_all_and_has_room_for_one() -> None:
    assert Operator(OLGA) == Operator(
        operator_id=OLGA,
        team_ids=frozenset(),
        skills=frozenset(),
        capacity=1.0,
        employed=True,
        presence="offline",
        load=0.0,
        last_offered_at=None,
        timeouts=0,
    )


def test_a_queue_is_by_default_for_all_and_waits_half_an_hour() -> None:
    assert Queue(QUEUE) == Queue(
        queue_id=QUEUE,
        name="",
        team_id=None,
        order=0,
        conditions=Conditions(),
        skills=frozenset(),
        accept_seconds=1800,
        active=True,
    )
    assert not Queue(QUEUE).fallback
    assert Queue(FALLBACK_QUEUE).fallback


@pytest.mark.parametrize(
    ("capacity", "load", "room"), [(1.0, 0.0, True), (1.0, 0.5, False), (2.5, 1.5, True), (2.0, 2.0, False)]
)
def test_one_ticket_more_must_fit(capacity: float, load: float, room: bool) -> None:
    assert person(OLGA, capacity=capacity, load=load).has_room == room


def test_available_is_who_is_employed_there_and_has_room() -> None:
    assert person(OLGA).available
    for other in ({"employed": False}, {"presence": "away"}, {"presence": "offline"}, {"load": 1.0}):
        assert not person(OLGA, **other).available


def test_a_team_is_who_is_employed_in_it() -> None:
    olga, oleg, gone = person(OLGA), person(OLEG, team_ids=frozenset()), person(STRANGER, employed=False)
    office = Office([olga, oleg, gone], [])
    assert office.team(TEAM) == [olga]
    assert office.team(None) == [olga, oleg]
    assert office.team(OTHER_TEAM) == []
    assert office.team(TEAM) is office.team(TEAM)


def test_load_changes_for_who_is_known() -> None:
    olga, oleg = person(OLGA, load=1.0), person(OLEG)
    office = Office([olga, oleg], [])
    office.carry([OLGA, STRANGER], 1.0)
    assert (olga.load, oleg.load) == (2.0, 0.0)
    office.carry([STRANGER, OLGA, OLEG], -0.5)
    assert (olga.load, oleg.load) == (1.5, -0.5)


def test_a_ticket_is_held_by_the_team_of_its_queue_where_one_is_in_it() -> None:
    queues = [Queue(QUEUE, team_id=TEAM), Queue(OPEN_QUEUE), Queue(STRANGER, team_id=TEAM, active=False)]
    office = Office([person(OLGA), person(OLEG, team_ids=frozenset({OTHER_TEAM}))], queues)
    assert office.team_for(QUEUE, OLGA) == TEAM
    assert office.team_for(QUEUE, OLEG) is None
    assert office.team_for(QUEUE, UUID(int=99)) is None
    assert office.team_for(OPEN_QUEUE, OLGA) is None
    assert office.team_for(STRANGER, OLGA) is None
    assert office.team_for(None, OLGA) is None


def test_lost_is_who_left_the_company_or_the_team_by_which_they_held_it() -> None:
    office = Office([person(OLGA), person(OLEG, employed=False)], [])
    assert not office.is_lost(OLGA, TEAM)
    assert not office.is_lost(OLGA, None)
    assert office.is_lost(OLGA, OTHER_TEAM)
    assert office.is_lost(OLEG, TEAM)
    assert office.is_lost(OLEG, None)
    assert not office.is_lost(STRANGER, TEAM)


def test_what_somebody_could_take_from_now_and_how_much() -> None:
    queues = [
        Queue(QUEUE, team_id=TEAM),
        Queue(OPEN_QUEUE, skills=frozenset({"sql"})),
        Queue(FALLBACK_QUEUE),
        Queue(STRANGER, active=False),
    ]
    olga = person(OLGA, capacity=2.5, load=1.0, skills=frozenset({"sql"}))
    oleg = person(OLEG, capacity=1e9, team_ids=frozenset())
    office = Office([olga, oleg], queues)
    assert office.served_by([OLGA]) == ([QUEUE, OPEN_QUEUE, FALLBACK_QUEUE], 1)
    assert office.served_by([OLEG]) == ([FALLBACK_QUEUE], 10_000)
    assert office.served_by([OLEG, OLGA, STRANGER]) == ([QUEUE, OPEN_QUEUE, FALLBACK_QUEUE], 10_001)
    assert office.served_by([STRANGER]) == ([], 0)
    olga.presence = "away"
    assert office.served_by([OLGA]) == ([], 0)


def test_the_longest_idle_are_those_who_were_never_asked_then_by_time_then_by_id() -> None:
    late, early, never, nobody = (
        person(UUID(int=1), last_offered_at=NOW.replace(hour=2)),
        person(UUID(int=2), last_offered_at=NOW),
        person(UUID(int=4)),
        person(UUID(int=3)),
    )
    office = Office([], [])
    assert office.longest_idle_first([late, never, early, nobody]) == [nobody, never, early, late]


def test_queues_are_asked_by_order_then_by_id_and_the_fallback_never() -> None:
    queues = [
        Queue(UUID(int=3), order=1),
        Queue(FALLBACK_QUEUE, order=0),
        Queue(UUID(int=2), order=1),
        Queue(UUID(int=1), order=2),
        Queue(UUID(int=4), order=0, active=False),
    ]
    assert [queue.queue_id.int for queue in Office([], queues).in_order] == [2, 3, 1]


def test_an_offers_id_is_the_same_for_ever() -> None:
    assert offer_id_of(UUID(int=1), 2, 3) == UUID("c0053688-d887-5a15-9fb4-8945bad9419f")
    assert UUID("5b7e0c52-8f0d-5c1e-9a61-2d4f6b0a7c93") == NAMESPACE
    assert UUID("5b7e0c52-8f0d-5c1e-9a61-000000000001") == FALLBACK_QUEUE
