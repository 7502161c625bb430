"""Cursors: they come back as they were, for their list only, and nothing made up passes."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from deskline_chassis import cursors
from deskline_chassis.cursors import BadCursorError, read_cursor, write_cursor

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
ONE = UUID(int=1)
LONGEST_TAKEN = 200


def forged(parts: Any) -> str:
    """A cursor with a right check, as only who read the code could make it."""
    return cursors._sealed("teams", to_json(parts))


@given(st.integers(0, 2**63 - 1), st.uuids())
def test_a_number_and_an_id_come_back(number: int, identity: UUID) -> None:
    cursor = write_cursor("queues", number, identity)
    assert read_cursor("queues", cursor, int, UUID) == (number, identity)


@given(st.datetimes(timezones=st.just(timezone(timedelta(hours=3)))), st.uuids())
def test_a_moment_comes_back_and_fits_into_a_query(moment: datetime, identity: UUID) -> None:
    cursor = write_cursor("waiting", moment, identity)
    assert read_cursor("waiting", cursor, datetime, UUID) == (moment, identity)
    assert len(cursor) <= LONGEST_TAKEN


@pytest.mark.parametrize("other", ["queues", "team", "teams ", f"teams {ONE}", ""])
def test_a_cursor_of_another_list_is_refused(other: str) -> None:
    cursor = write_cursor("teams", ONE)
    assert read_cursor("teams", cursor, UUID) == (ONE,)
    with pytest.raises(BadCursorError):
        read_cursor(other, cursor, UUID)


def test_a_cursor_of_another_ticket_is_refused() -> None:
    cursor = write_cursor(f"decisions {ONE}", 7)
    with pytest.raises(BadCursorError):
        read_cursor(f"decisions {UUID(int=2)}", cursor, int)


@given(st.text(max_size=40))
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursorError):
        read_cursor("teams", cursor, UUID)


@given(st.integers(0), st.sampled_from("Aw_-+/=é"))
def test_a_changed_cursor_is_refused(at: int, letter: str) -> None:
    cursor = write_cursor("queues", 7, ONE)
    at %= len(cursor)
    changed = cursor[:at] + letter + cursor[at + 1 :]
    if changed != cursor:
        with pytest.raises(BadCursorError):
            read_cursor("queues", changed, int, UUID)


def test_a_cursor_has_one_spelling() -> None:
    cursor = write_cursor("teams", ONE)
    for other in (f"{cursor}=", f"{cursor}==", f"{cursor}\n", f" {cursor}", cursor[:-1]):
        with pytest.raises(BadCursorError):
            read_cursor("teams", other, UUID)


@pytest.mark.parametrize(
    "parts",
    [[], [1], [None], [[]], ["x"], [""], [str(ONE), 1], {}, str(ONE), None, 7, {str(ONE): 1}],
)
def test_a_forged_cursor_is_refused_for_its_parts(parts: Any) -> None:
    assert read_cursor("teams", forged([str(ONE)]), UUID) == (ONE,)
    with pytest.raises(BadCursorError):
        read_cursor("teams", forged(parts), UUID)


@pytest.mark.parametrize("number", [-1, 2**63, True, 1.5, "1", None, str(ONE)])
def test_a_forged_number_is_refused(number: Any) -> None:
    with pytest.raises(BadCursorError):
        read_cursor("teams", forged([number]), int)


@pytest.mark.parametrize("moment", ["2026-11-22T03:00:00", "never", 1, None, "2026-13-01T00:00:00Z"])
def test_a_forged_moment_is_refused(moment: Any) -> None:
    assert read_cursor("teams", forged([NOW.isoformat()]), datetime) == (NOW,)
    with pytest.raises(BadCursorError):
        read_cursor("teams", forged([moment]), datetime)
