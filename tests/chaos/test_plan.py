"""The plan of a run is the same for the same seed, leaves nothing out, and kills as often as was said."""

from itertools import islice

import pytest
from tests.chaos.faults.crash_points import POINTS
from tests.chaos.plan import CALM_SECONDS, CYCLE, HEAVY, KINDS, LASTING, PAST_THE_LEASE, Field, Round, rounds

pytestmark = pytest.mark.unit

SERVICES = ("intake", "tickets", "routing", "sla", "notify", "analytics", "gateway")
FIELD = Field(
    processes=[f"{service}{number}" for service in SERVICES for number in ("", "-1")],
    links=[(service, server) for service in SERVICES for server in ("kafka", "postgres")],
    points=[(service, point) for point, services in POINTS.items() for service in services],
    owners=SERVICES[:5],
    readers=SERVICES[1:6],
)
SEEDS = range(20)


def cycle(seed: int) -> list[Round]:
    return list(islice(rounds(seed, FIELD), CYCLE))


def test_a_seed_says_all_of_it() -> None:
    assert cycle(7) == cycle(7)
    assert cycle(7) != cycle(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_of_fault_comes_within_a_cycle(seed: int) -> None:
    steps = [step for one in cycle(seed) for step in one.steps]
    assert {step.kind for step in steps} == set(KINDS)
    assert sorted(one.heavy.kind for one in cycle(seed)) == sorted(HEAVY)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_process_dies_every_link_breaks_and_every_point_is_armed(seed: int) -> None:
    steps = [step for one in cycle(seed) for step in one.steps]
    assert {step.target[0] for step in steps if step.kind == "service killed"} == set(FIELD.processes)
    assert {step.target for step in steps if step.kind.startswith("link")} == set(FIELD.links)
    assert {step.target for step in steps if step.kind == "crash point"} == set(FIELD.points)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cycle_kills_at_least_a_hundred(seed: int) -> None:
    alone = sum(step.deaths for one in cycle(seed) for step in one.steps)
    assert alone + len(FIELD.processes) >= 100


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_come_alone_and_mixed_and_leave_time_between_them(seed: int) -> None:
    played = cycle(seed)
    assert {one.mixed for one in played} == {True, False}
    for one in played:
        assert one.calm >= CALM_SECONDS
        assert all(step.after > 0 for step in one.light)
        for step in one.steps:
            low, high = LASTING.get(step.kind, (0.0, 0.0))
            assert low - 0.1 <= step.seconds <= high + 0.1
    (stopped,) = (one.heavy for one in played if one.heavy.kind == "leader stopped")
    assert stopped.seconds >= PAST_THE_LEASE
