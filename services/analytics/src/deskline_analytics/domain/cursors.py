"""Cursors: where a page ended, as one opaque word that works with the same filters only."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE: Final = struct.Struct(">Bq16s8s")
_FOUND: Final = struct.Struct(">Bqfq16s8s")
_CHECK_BYTES: Final = 6
_PLACE_VERSION: Final = 1
_FOUND_VERSION: Final = 2


class BadCursorError(ValueError):
    """Not a cursor that this service gave for these filters."""

    safe_message: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Place:
    """The last row of a page, in the order (moment, id)."""

    moment: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Found:
    """The last ticket of a page of a search among messages recorded until `until`."""

    until: datetime
    relevance: float
    opened_at: datetime
    ticket_id: UUID

    def values(self) -> dict[str, Any]:
        """What the order is made of."""
        return {"relevance": self.relevance, "opened_at": self.opened_at, "ticket_id": self.ticket_id}


def write_cursor(place: Place, filters: str) -> str:
    """The cursor of a place under these filters (their canonical text)."""
    return _sealed(_PLACE.pack(_PLACE_VERSION, _micros(place.moment), place.id.bytes, _of(filters)))


def read_cursor(cursor: str, filters: str) -> Place:
    """The place that a cursor names; raises BadCursorError."""
    micros, id_ = _opened(cursor, _PLACE, _PLACE_VERSION, filters)
    return Place(_moment(micros), UUID(bytes=id_))


def write_found(found: Found, filters: str) -> str:
    """The cursor of a place in what a search found."""
    return _sealed(
        _FOUND.pack(
            _FOUND_VERSION,
            _micros(found.until),
            found.relevance,
            _micros(found.opened_at),
            found.ticket_id.bytes,
            _of(filters),
        )
    )


def read_found(cursor: str, filters: str) -> Found:
    """The place in what a search found; raises BadCursorError."""
    until, relevance, opened_at, ticket_id = _opened(cursor, _FOUND, _FOUND_VERSION, filters)
    return Found(_moment(until), relevance, _moment(opened_at), UUID(bytes=ticket_id))


def _sealed(body: bytes) -> str:
    return _spelt(body + _digest(body, _CHECK_BYTES))


def _spelt(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _opened(cursor: str, form: struct.Struct, version: int, filters: str) -> tuple[Any, ...]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadCursorError("It is no cursor of this service.") from None
    # Python takes the letters of both alphabets; a place has one spelling.
    if _spelt(raw) != cursor:
        raise BadCursorError("It is no cursor of this service.")
    body, check = raw[: form.size], raw[form.size :]
    if len(body) != form.size or check != _digest(body, _CHECK_BYTES):
        raise BadCursorError("It is no cursor of this service, or it was cut or changed on the way.")
    found, *place, of = form.unpack(body)
    if found != version:
        raise BadCursorError("It is of another version of this service.")
    if of != _of(filters):
        raise BadCursorError("It belongs to a list with other filters.")
    return tuple(place)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise BadCursorError("It names a time outside the calendar.") from None


def _of(filters: str) -> bytes:
    return _digest(filters.encode(), 8)


def _digest(data: bytes, size: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size, person=b"deskline.cursor").digest()
