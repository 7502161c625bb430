"""What is kept and searched of people's words, and cursors of searches: the same for ever."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from deskline_analytics.domain import cursors
from deskline_analytics.domain.cursors import (
    BadCursorError,
    Found,
    Place,
    read_cursor,
    read_found,
    write_cursor,
    write_found,
)
from deskline_analytics.domain.wording import MAX_INDEXED_BYTES, searchable, storable

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=UTC)
PLACE = Place(NOW, UUID(int=7))
FOUND = Found(NOW + timedelta(hours=1), 0.5, NOW, UUID(int=9))


def test_what_is_kept_the_database_takes() -> None:
    assert storable("a\0b\ud800c") == "a\ufffdb?c"
    assert storable("Ёж 🙂") == "Ёж 🙂"


def test_what_is_searched_is_an_excerpt_without_yo() -> None:
    assert searchable("Ёлка ещё\0зелёная") == "Елка еще зеленая"
    assert searchable("a\ud800b") == "a?b"
    assert MAX_INDEXED_BYTES == 65_536
    assert searchable("x" * 65_537) == "x" * 65_536
    assert searchable("x" * 65_535 + "я") == "x" * 65_535


def test_cursors_are_the_same_for_ever() -> None:
    assert write_cursor(PLACE, "{}") == "AQAGS_Kx9gZAAAAAAAAAAAAAAAAAAAAAB1K8CHWMoL33huGcJ62k"
    assert write_found(FOUND, "{}") == "AgAGS_OIiapAPwAAAAAGS_Kx9gZAAAAAAAAAAAAAAAAAAAAACVK8CHWMoL33pluSSTd2"


def test_a_search_goes_on_where_it_ended() -> None:
    assert read_found(write_found(FOUND, "{}"), "{}") == FOUND
    assert FOUND.values() == {"relevance": 0.5, "opened_at": NOW, "ticket_id": UUID(int=9)}


@pytest.mark.parametrize(
    ("cursor", "sentence"),
    [
        ("*", "It is no cursor of this service."),
        ("a", "It is no cursor of this service."),
        ("я", "It is no cursor of this service."),
        (write_found(FOUND, "{}"), "It is no cursor of this service, or it was cut or changed on the way."),
        (
            write_cursor(PLACE, "{}")[:-4],
            "It is no cursor of this service, or it was cut or changed on the way.",
        ),
        (
            write_cursor(PLACE, "{}") + "AAAA",
            "It is no cursor of this service, or it was cut or changed on the way.",
        ),
        (write_cursor(PLACE, "{1}"), "It belongs to a list with other filters."),
    ],
)
def test_what_is_no_cursor_of_this_list_is_refused(cursor: str, sentence: str) -> None:
    with pytest.raises(BadCursorError) as refused:
        read_cursor(cursor, "{}")
    assert str(refused.value) == sentence
    assert refused.value.safe_message is True


def test_a_search_refuses_a_place_and_other_filters() -> None:
    for cursor in (write_cursor(PLACE, "{}"), write_found(FOUND, "{1}")):
        with pytest.raises(BadCursorError):
            read_found(cursor, "{}")


@pytest.mark.parametrize("letter", ["\n", " ", "-\n", "+", "/"])
def test_letters_of_other_alphabets_are_refused(letter: str) -> None:
    cursor = write_cursor(PLACE, "{}")
    with pytest.raises(BadCursorError):
        read_cursor(cursor[:8] + letter + cursor[8:], "{}")


def test_a_place_has_one_spelling() -> None:
    written = [write_cursor(Place(NOW, UUID(int=number)), "{}") for number in range(40)]
    for safe, other in (("-", "+"), ("_", "/")):
        cursor = next(one for one in written if safe in one)
        with pytest.raises(BadCursorError) as refused:
            read_cursor(cursor.replace(safe, other, 1), "{}")
        assert str(refused.value) == "It is no cursor of this service."
    with pytest.raises(BadCursorError):
        read_cursor(written[0] + "=", "{}")


def crafted(version: int, micros: int, filters: str = "{}") -> str:
    """What nobody but this service could have sealed, with numbers that it never writes."""
    body = cursors._PLACE.pack(version, micros, UUID(int=7).bytes, cursors._of(filters))
    return cursors._sealed(body)


@pytest.mark.parametrize(
    ("version", "micros", "sentence"),
    [
        (2, 0, "It is of another version of this service."),
        (1, 2**62, "It names a time outside the calendar."),
        (1, -(2**62), "It names a time outside the calendar."),
    ],
)
def test_what_this_service_would_not_write_is_refused(version: int, micros: int, sentence: str) -> None:
    with pytest.raises(BadCursorError) as refused:
        read_cursor(crafted(version, micros), "{}")
    assert str(refused.value) == sentence
    assert read_cursor(crafted(1, 0), "{}").moment == datetime(1970, 1, 1, tzinfo=UTC)


def test_every_letter_and_length_comes_back() -> None:
    for number in range(300):
        found = Found(NOW, 0.5, NOW, UUID(int=number))
        assert read_found(write_found(found, "{}"), "{}") == found
        place = Place(NOW, UUID(int=number))
        assert read_cursor(write_cursor(place, "{}"), "{}") == place
    assert "=" not in write_found(FOUND, "{}")


def test_another_spelling_says_what_it_is() -> None:
    with pytest.raises(BadCursorError, match=r"^It is no cursor of this service\.$"):
        read_cursor(write_cursor(PLACE, "{}") + "\n", "{}")
