"""The doors' judge in simulated time: floods are held off, outages and bursts are not taken for floods."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_intake.domain.pressure import (
    FEW,
    MOST_RETRY_SECONDS,
    STILL_SECONDS,
    Pace,
    Pressure,
    Standing,
)

pytestmark = pytest.mark.unit

STEP = 0.5
BOUND = 10.0
READERS = ("tickets", "analytics")


@dataclass
class House:
    """Doors, a parser, and two readers side by side behind it; rates are a second."""

    pressure: Pressure = field(default_factory=lambda: Pressure(BOUND))
    rates: dict[str, float] = field(default_factory=lambda: {"unread": 300, "tickets": 250, "analytics": 150})
    now: float = 1000.0
    unread: float = 0.0
    read: float = 0.0
    passed: dict[str, float] = field(default_factory=lambda: dict.fromkeys(READERS, 0.0))
    offered: float = 0.0
    taken: float = 0.0
    waits: list[float] = field(default_factory=list)

    def run(self, seconds: float, offered: float, door: float = 400.0) -> None:
        """So many a second come, of which the door can take no more than `door`."""
        for _ in range(int(seconds / STEP)):
            self.now += STEP
            taken = 0.0 if self.pressure.is_high else min(offered, door) * STEP
            self.offered += offered * STEP
            self.taken += taken
            self.unread += taken
            done = min(self.unread, self.rates["unread"] * STEP)
            self.unread -= done
            self.read += done
            for reader in READERS:
                left = self.read - self.passed[reader]
                self.passed[reader] += min(left, self.rates[reader] * STEP)
            self.look()

    def look(self) -> None:
        chain = {"unread": Standing(int(self.read), int(self.unread))}
        ends = {
            reader: Standing(int(self.passed[reader]), int(self.read - self.passed[reader]))
            for reader in READERS
        }
        self.pressure.look(self.now, chain, ends)
        self.waits.append(self.left / self.rates["analytics"] if self.rates["analytics"] else 0.0)

    @property
    def left(self) -> float:
        """What is accepted and not worked off everywhere."""
        return self.taken - min(self.passed.values())


def test_what_can_be_worked_off_is_taken() -> None:
    house = House()
    house.run(300, offered=140)
    assert house.taken == house.offered
    assert not house.pressure.is_high


def test_a_flood_is_held_off_and_what_was_taken_is_soon_done() -> None:
    house = House()
    house.run(120, offered=750)
    # Nothing that can work stands still: as much is taken as is worked off.
    assert house.taken > 0.95 * 150 * 120
    assert house.left <= 150 * 20
    assert max(house.waits) <= 20
    house.run(25, offered=0)
    assert house.left == 0
    assert not house.pressure.is_high


def test_a_burst_of_less_than_the_bound_is_taken_whole() -> None:
    house = House()
    house.run(60, offered=20)
    house.run(3, offered=400)
    house.run(60, offered=20)
    assert house.taken == house.offered


def test_an_outage_behind_the_doors_shuts_none_of_them() -> None:
    house = House()
    house.run(30, offered=140)
    house.rates["analytics"] = 0.0
    house.run(600, offered=60)
    house.rates["analytics"] = 150.0
    # What waits now takes minutes, and falls: what comes meanwhile is taken.
    house.run(120, offered=60)
    assert house.taken == pytest.approx(house.offered, rel=0.02)


def test_while_much_moves_from_stage_to_stage_the_doors_may_wait_for_it() -> None:
    house = House()
    house.run(30, offered=140)
    house.rates["unread"] = 0.0
    house.run(600, offered=60)
    assert house.taken == house.offered
    house.rates["unread"] = 300.0
    # The readers get twice what they can do: they would be no sooner done with what comes now.
    house.run(300, offered=60)
    before = house.taken, house.offered
    house.run(30, offered=60)
    assert house.taken - before[0] == house.offered - before[1]


def test_a_flood_after_an_outage_does_not_let_the_wait_grow() -> None:
    house = House()
    house.run(30, offered=140)
    house.rates["analytics"] = 0.0
    house.run(300, offered=60)
    house.rates["analytics"] = 150.0
    house.run(5, offered=60)
    before = house.left
    house.run(60, offered=750)
    assert house.left < before - 1000


def test_who_is_sent_away_is_told_when_to_come_again() -> None:
    house = House()
    assert house.pressure.retry_seconds == 1
    house.run(60, offered=750)
    assert 1 <= house.pressure.retry_seconds <= MOST_RETRY_SECONDS


def test_pace_is_learned_only_while_there_is_more_than_can_be_done() -> None:
    pace = Pace()
    for second in range(20):
        # One comes a second and is passed at once.
        pace.look(float(second), Standing(second, 1))
    assert pace.wait(19.0) <= 1.0
    pace = Pace()
    for second in range(20):
        pace.look(float(second), Standing(100 * second, 5000 - 100 * second))
    assert pace.rate == pytest.approx(100)
    assert pace.wait(19.0) == pytest.approx(31)


def test_a_stage_that_stands_still_is_not_waited_for() -> None:
    pace = Pace()
    for second in range(10):
        pace.look(float(second), Standing(100 * second, 5000))
    assert pace.wait(9.0) == pytest.approx(50)
    for second in range(10, 20):
        pace.look(float(second), Standing(900, 5000 + second))
    assert pace.wait(9.0 + STILL_SECONDS) > 0
    assert pace.wait(19.0) == 0


def test_progress_that_is_told_now_and_then_is_as_quick_as_that_of_each_moment() -> None:
    pace = Pace()
    for look in range(40):
        # 100 a second are passed, and told each second; it is looked at twice a second.
        told = 100 * (look // 2)
        pace.look(look / 2, Standing(told, 10_000 - told))
    assert pace.rate == pytest.approx(100)


def test_what_stood_still_is_not_taken_for_slow() -> None:
    pace = Pace()
    for second in range(10):
        pace.look(float(second), Standing(100 * second, 5000))
    for second in range(100, 110):
        pace.look(float(second), Standing(100 * (second - 90), 5000))
    assert pace.rate == pytest.approx(100)


def test_a_few_are_no_flood_whatever_was_learned() -> None:
    pace = Pace()
    pace.look(0.0, Standing(0, 10))
    pace.look(1.0, Standing(1, 9))
    assert pace.rate == 1
    pace.look(2.0, Standing(2, FEW - 1))
    assert pace.wait(2.0) == 0
    pace.look(3.0, Standing(3, FEW))
    assert pace.wait(3.0) == FEW


def test_a_stage_that_begins_anew_is_learned_anew() -> None:
    pace = Pace()
    pace.look(0.0, Standing(10_000, 500))
    pace.look(1.0, Standing(10_100, 400))
    pace.look(2.0, Standing(0, 9_000))
    assert pace.rate == pytest.approx(100)
    pace.look(3.0, Standing(200, 8_800))
    assert pace.rate is not None
    assert 100 < pace.rate < 200


@given(
    st.lists(
        st.tuples(st.floats(0.0, 10.0), st.integers(0, 10**9), st.integers(0, 10**6), st.booleans()),
        max_size=40,
    )
)
def test_any_standings_are_judged(looks: list[tuple[float, int, int, bool]]) -> None:
    pressure, now = Pressure(BOUND), 0.0
    for later, passed, left, known in looks:
        now += later
        standing = {"unread": Standing(passed, left)}
        pressure.look(now, standing, standing if known else {})
        assert pressure.wait >= 0
        assert not pressure.is_high or pressure.wait > BOUND
        assert 1 <= pressure.retry_seconds <= MOST_RETRY_SECONDS


def looked(*looks: tuple[float, int, int], bound: float = BOUND) -> Pressure:
    """A judge of one stage after (moment, passed, left)."""
    pressure = Pressure(bound)
    for at, passed, left in looks:
        pressure.look(at, {"unread": Standing(passed, left)}, {})
    return pressure


def test_a_stage_that_had_as_much_as_it_passed_did_not_run_dry() -> None:
    pace = Pace()
    pace.look(0.0, Standing(0, 99))
    pace.look(1.0, Standing(100, 100))
    assert pace.rate is None
    pace.look(2.0, Standing(200, 500))
    assert pace.rate == 100


def test_a_stage_that_ran_dry_is_at_least_as_fast_as_it_was() -> None:
    pace = Pace()
    for at, passed, left in ((0.0, 0, 500), (1.0, 100, 50), (2.0, 160, 10)):
        pace.look(at, Standing(passed, left))
    assert pace.rate == 100
    pace.look(3.0, Standing(500, 0))
    assert pace.rate == 340


def test_what_stood_still_tells_nothing_of_its_pace() -> None:
    for span, rate in ((STILL_SECONDS, 100), (STILL_SECONDS + 0.1, None)):
        pace = Pace()
        pace.look(0.0, Standing(0, 1_000))
        pace.look(span, Standing(500, 500))
        assert pace.rate == rate


def test_a_wait_of_just_the_bound_is_borne() -> None:
    assert not looked((0.0, 0, 1_000), (1.0, 100, 1_000)).is_high
    above = looked((0.0, 0, 1_001), (1.0, 100, 1_001))
    assert (above.wait, above.is_high) == (10.01, True)


def test_who_is_sent_away_comes_again_when_twice_the_excess_is_over() -> None:
    assert looked((0.0, 0, 1_500), (1.0, 100, 1_500)).retry_seconds == 10


FALLING = ((0.0, 0, 3_200), (1.0, 100, 3_200), (2.0, 200, 3_000), (3.0, 300, 3_000), (4.0, 400, 3_000))


def test_a_wait_that_falls_by_half_a_second_each_second_shuts_no_door() -> None:
    assert not looked(*FALLING, (5.0, 500, 3_000)).is_high
    assert looked(*FALLING, (5.0, 500, 3_001)).is_high


def test_what_was_long_ago_says_nothing_of_a_fall() -> None:
    assert looked(*FALLING, (20.0, 500, 3_000)).is_high
