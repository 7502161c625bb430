"""How far behind a reader is, by its position and the end of a partition."""

import pytest
from tests.chaos.watch import BEHIND, _to_pass

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("position", "end", "left"), [(0, 0, 0), (7, 7, 0), (0, 7, 7), (5, 7, 2)])
def test_what_lies_between_position_and_end_is_to_be_passed(position: int, end: int, left: int) -> None:
    assert _to_pass(position, end) == left


@pytest.mark.parametrize("end", [0, 5, 950, 999])
def test_reader_that_has_not_noticed_a_loss_has_not_caught_up(end: int) -> None:
    assert _to_pass(1000, end) >= BEHIND
