"""When a consumer is to be built anew."""

import pytest

from deskline_chassis.watch import PATIENCE_SECONDS, Standing, Watch

pytestmark = pytest.mark.unit

ONE, OTHER = ("t", 0), ("t", 1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_partition_that_is_behind_and_does_not_move_is_stalled() -> None:
    clock = Clock()
    watch = Watch(clock)
    assert not watch.is_stalled({ONE: Standing(3, 10)})
    clock.now = PATIENCE_SECONDS - 0.1
    assert not watch.is_stalled({ONE: Standing(3, 12)})
    clock.now = PATIENCE_SECONDS
    assert watch.is_stalled({ONE: Standing(3, 12)})


def test_position_beyond_the_end_is_stalled_too() -> None:
    clock = Clock()
    watch = Watch(clock)
    watch.is_stalled({ONE: Standing(10, 3)})
    clock.now = PATIENCE_SECONDS
    assert watch.is_stalled({ONE: Standing(10, 3)})


def test_any_movement_begins_the_patience_anew() -> None:
    clock = Clock()
    watch = Watch(clock)
    watch.is_stalled({ONE: Standing(3, 10), OTHER: Standing(0, 10)})
    clock.now = PATIENCE_SECONDS
    assert not watch.is_stalled({ONE: Standing(4, 10), OTHER: Standing(0, 10)})


def test_nothing_to_read_is_no_stall_however_long() -> None:
    clock = Clock()
    watch = Watch(clock)
    watch.is_stalled({ONE: Standing(10, 10)})
    clock.now = PATIENCE_SECONDS * 10
    assert not watch.is_stalled({ONE: Standing(10, 10)})
    assert not watch.is_stalled({ONE: Standing(10, 11)})


def test_no_partitions_known_is_no_stall() -> None:
    clock = Clock()
    watch = Watch(clock)
    clock.now = PATIENCE_SECONDS
    assert not watch.is_stalled({})
