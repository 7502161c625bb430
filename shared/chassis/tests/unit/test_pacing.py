"""A loop rests as long as its round took, within limits."""

import pytest

from deskline_chassis.pacing import LEAST_SECONDS, MOST_REST_SECONDS, pace_after

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("took", "until_the_next"),
    [
        (0.0, LEAST_SECONDS),
        (0.010, LEAST_SECONDS),
        (0.020, 0.040),
        (0.100, 0.200),
        (MOST_REST_SECONDS, 2 * MOST_REST_SECONDS),
        (2.0, 2.0 + MOST_REST_SECONDS),
    ],
)
def test_a_rest_is_as_long_as_the_round_and_never_long(took: float, until_the_next: float) -> None:
    assert pace_after(took) == pytest.approx(until_the_next)
