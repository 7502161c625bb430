"""A loop that stands still is found, and one that has reason to be silent is told from it."""

import pytest
from tests.chaos.healing import MUCH, Healing, Standing

pytestmark = pytest.mark.unit

RELAY, READER, WATERMARK = "relay of tickets", "reader of sla", "watermark of tickets"


def standing(relay: int, reader: int, watermark: int, unannounced: int = 0) -> Standing:
    return Standing({RELAY: relay, READER: reader, WATERMARK: watermark}, {"tickets": unannounced})


def still_after(*looks: Standing) -> set[str]:
    healing = Healing()
    for one in looks:
        healing.look(one)
    return healing.still


def test_nothing_is_known_to_get_on_by_one_look() -> None:
    assert still_after(standing(1, 1, 1)) == {"everything"}


def test_what_moves_gets_on() -> None:
    assert still_after(standing(1, 1, 1), standing(2, 2, 2)) == set()


def test_what_moved_once_need_not_move_at_each_look() -> None:
    assert still_after(standing(1, 1, 1), standing(2, 2, 2), standing(2, 2, 2)) == set()


@pytest.mark.parametrize(
    ("name", "after"),
    [(RELAY, (1, 2, 2)), (READER, (2, 1, 2)), (WATERMARK, (2, 2, 1))],
)
def test_what_does_not_move_stands_still(name: str, after: tuple[int, int, int]) -> None:
    assert still_after(standing(1, 1, 1), standing(*after, unannounced=1)) == {name}


def test_a_watermark_is_silent_while_its_owner_announces_the_log_anew() -> None:
    looks = [standing(9_000, 1, 5), standing(500, 2, 5, 8_500), standing(1_500, 3, 5, 7_500)]
    assert still_after(*looks) == set()


def test_a_watermark_stands_still_where_its_relay_does() -> None:
    looks = [standing(9_000, 1, 5), standing(500, 2, 5, 8_500), standing(500, 3, 5, 8_500)]
    assert still_after(*looks) == {WATERMARK}


def test_a_watermark_has_to_come_when_little_is_left_to_announce() -> None:
    looks = [standing(9_000, 1, 5), standing(500, 2, 5, 8_500), standing(8_999, 3, 5, MUCH - 1)]
    assert still_after(*looks) == {WATERMARK}


def test_a_relay_that_has_nothing_to_announce_does_not_stand_still() -> None:
    looks = [standing(9_000, 1, 5), standing(9_000, 2, 6), standing(9_000, 3, 7)]
    assert still_after(*looks) == set()
