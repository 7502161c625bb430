"""Cursors are opaque, checked, and bound to their filters."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_analytics.domain.cursors import BadCursorError, Place, read_cursor, write_cursor

pytestmark = pytest.mark.unit

# hypothesis adds the zone itself.
FIRST, LAST = datetime(1970, 1, 1), datetime(9999, 1, 1)  # noqa: DTZ001
PLACE = Place(datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=UTC), UUID(int=7))


@given(st.datetimes(FIRST, LAST, timezones=st.just(UTC)), st.uuids(), st.text())
def test_a_cursor_comes_back_as_it_was(moment: datetime, ticket_id: UUID, filters: str) -> None:
    place = Place(moment, ticket_id)
    assert read_cursor(write_cursor(place, filters), filters) == place


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadCursorError):
        read_cursor(text, "{}")


@given(st.integers(0), st.characters(codec="ascii"))
def test_a_changed_cursor_is_refused(at: int, letter: str) -> None:
    cursor = write_cursor(PLACE, "{}")
    at %= len(cursor)
    changed = cursor[:at] + letter + cursor[at + 1 :]
    if changed == cursor:
        return
    with pytest.raises(BadCursorError):
        read_cursor(changed, "{}")


def test_a_cursor_of_other_filters_is_refused() -> None:
    with pytest.raises(BadCursorError, match="other filters"):
        read_cursor(write_cursor(PLACE, '{"open":true}'), "{}")
