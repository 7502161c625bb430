"""In which language a refusal is told, and that each has a status and titles."""

import pytest

from deskline_tickets.api.refusals import STATUSES, TITLES, speaks_russian
from deskline_tickets.domain.refusals import Refusal

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("header", "russian"),
    [
        (None, False),
        ("", False),
        ("ru", True),
        ("ru-RU,ru;q=0.9,en;q=0.5", True),
        ("en, ru;q=0.9", False),
        ("en;q=0.3, RU;q=0.4", True),
        ("de, ru;q=0.1", True),
        ("ru;q=zero", False),
        ("*", False),
        (";;,=,q", False),
    ],
)
def test_russian_is_spoken_to_whoever_prefers_it(header: str | None, russian: bool) -> None:
    assert speaks_russian(header) is russian


def test_every_refusal_has_a_status_and_titles() -> None:
    codes = {refusal.code for refusal in Refusal.__subclasses__()}
    assert codes == set(STATUSES) == set(TITLES)
