"""The room in numbers: when it is judged, by what, and how far it moves at a time."""

import pytest

from deskline_gateway.domain.headers import outward
from deskline_gateway.domain.limits import MOST_KEYS
from deskline_gateway.domain.live import MOST_REMEMBERED
from deskline_gateway.domain.room import LEAST, SLOW_SECONDS, WINDOW_SECONDS, Room

pytestmark = pytest.mark.unit


def judged(most: int, answers: list[tuple[float, float]]) -> list[int]:
    """Places after each answer (seconds it took, moment of it)."""
    room, places = Room(most), []
    for seconds, now in answers:
        room.inside += 1
        room.leave(now - seconds, now)
        places.append(room.places)
    return places


def test_a_room_begins_empty_and_is_told_only_how_large_it_is() -> None:
    room = Room(3)
    assert (room.most, room.inside, room.places) == (3, 0, 3)
    assert room == Room(most=3)
    for wrong in ({"inside": 0}, {"places": 3}, {"_since": 0.0}, {"_answered": 0}, {"_seconds": 0.0}):
        with pytest.raises(TypeError):
            Room(3, **wrong)


def test_a_window_is_judged_at_its_end() -> None:
    slow, window = 2 * SLOW_SECONDS, WINDOW_SECONDS
    assert judged(100, [(slow, window - 0.001)]) == [100]
    assert judged(100, [(slow, window)])[0] < 100
    # What was judged counts no more, and the next window begins there.
    first = judged(100, [(slow, window), (slow, 1.9 * window), (0.0, 2 * window)])
    assert first[1] == first[0] > first[2]
    assert judged(100, [(slow, window), (0.0, 2 * window)])[1] > first[0]


def test_a_window_counts_its_own_answers_alone() -> None:
    first, second = judged(1_000, [(0.1, 10.0), (9.0, 10.5)])
    # One answer in half a second: in the time that an answer may take there would be three.
    assert second == round((first + SLOW_SECONDS / 0.5) / 2)


def test_half_of_the_way_at_a_time() -> None:
    # One after another, each twice as long as it may take: there is room for half of the crowd of four.
    crowd, took = 2 * SLOW_SECONDS / WINDOW_SECONDS, 2 * SLOW_SECONDS
    wanted = crowd * SLOW_SECONDS / took
    assert judged(1_000, [(took, WINDOW_SECONDS)]) == [round((1_000 + wanted) / 2)]
    # Whoever is alone inside is a crowd of one.
    alone = [(0.1, 10.0)]
    assert judged(1_000, alone) == [round((1_000 + SLOW_SECONDS / 0.1) / 2)]


def test_never_fewer_than_some_and_never_more_than_there_are() -> None:
    endless = [(60.0, 10.0 * number) for number in range(1, 40)]
    assert judged(1_000, endless)[-1] == LEAST
    assert judged(LEAST - 1, endless)[-1] == LEAST - 1
    assert judged(1_000, [*endless, *((0.0, 400.0 + number) for number in range(1, 60))])[-1] == 1_000


def test_bounds_are_these() -> None:
    assert (LEAST, WINDOW_SECONDS, SLOW_SECONDS) == (32, 0.5, 1.5)
    assert (MOST_KEYS, MOST_REMEMBERED) == (20_000, 20_000)


def test_no_location_is_needed() -> None:
    assert outward([("ETag", '"1"')]) == {"etag": '"1"'}
