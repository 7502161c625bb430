"""Every refusal has a status, and titles in both languages."""

import pytest

from deskline_tickets.api.refusals import STATUSES, TITLES
from deskline_tickets.domain.refusals import Refusal

pytestmark = pytest.mark.unit


def test_every_refusal_has_a_status_and_titles() -> None:
    codes = {refusal.code for refusal in Refusal.__subclasses__()}
    assert codes == set(STATUSES) == set(TITLES)
