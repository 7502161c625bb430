"""Room for requests: all that is set while answers come soon, what is answered in a short time while not."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_gateway.domain.room import LEAST, SLOW_SECONDS, WINDOW_SECONDS, Room

pytestmark = pytest.mark.unit


def serve(
    room: Room, served: float, comes: Callable[[float], int], seconds: float, start: float = 1000.0
) -> float:
    """Owners that serve so many a second, in order; the longest that anybody waited."""
    waiting: list[float] = []
    longest, owed = 0.0, 0.0
    for step in range(int(seconds * 100)):
        now = start + step / 100
        waiting += [now for _ in range(comes(now)) if room.enter()]
        owed = min(owed + served / 100, len(waiting))
        while owed >= 1:
            owed -= 1
            entered = waiting.pop(0)
            longest = max(longest, now - entered)
            room.leave(entered, now)
    return longest


def test_as_many_are_let_in_as_is_set_and_no_more() -> None:
    room = Room(3)
    assert [room.enter() for _ in range(4)] == [True, True, True, False]
    room.leave(0.0, 0.1)
    assert room.enter()
    assert not room.enter()


def test_a_flood_waits_no_longer_than_a_short_time() -> None:
    room = Room(1000)
    serve(room, 60, lambda _: 5, 30)
    assert room.places == pytest.approx(60 * SLOW_SECONDS, rel=0.2)
    room.inside = 0
    assert serve(room, 60, lambda _: 5, 10, start=2000.0) < 2 * SLOW_SECONDS


def test_what_is_served_at_once_leaves_all_the_room() -> None:
    room = Room(128)
    serve(room, 100, lambda now: int(now * 100) % 50 == 0, 20)
    assert room.places == 128


def test_a_crawl_still_leaves_some_room() -> None:
    for most, least in ((128, LEAST), (4, 4)):
        room = Room(most)
        serve(room, 2, lambda _: 1, 60)
        assert room.places == least


def test_room_comes_back_when_answers_are_quick_again() -> None:
    room = Room(128)
    serve(room, 2, lambda _: 1, 60)
    room.inside = 0
    assert room.places == LEAST
    serve(room, 100, lambda now: int(now * 100) % 50 == 0, 20, start=2000.0)
    assert room.places == 128


@given(
    st.lists(st.tuples(st.floats(0.0, 60.0), st.floats(0.0, 2 * WINDOW_SECONDS)), max_size=60),
    st.integers(1, 200),
)
def test_room_is_never_none_and_never_more_than_is_set(answers: list[tuple[float, float]], most: int) -> None:
    room, now = Room(most), 1000.0
    for seconds, later in answers:
        now += later
        if room.enter():
            room.leave(now - seconds, now)
        assert 1 <= room.places <= most
        assert room.inside == 0
