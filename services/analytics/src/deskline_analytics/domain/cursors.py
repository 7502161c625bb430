"""Cursors: where a page ended, as one opaque word that works with the same filters only."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORM: Final = struct.Struct(">Bq16s8s")
_CHECK_BYTES: Final = 6
_VERSION: Final = 1


class BadCursorError(ValueError):
    """Not a cursor that this service gave for these filters."""

    safe_message: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Place:
    """The last row of a page, in the order (opened_at, ticket_id)."""

    opened_at: datetime
    ticket_id: UUID


def write_cursor(place: Place, filters: str) -> str:
    """The cursor of a place under these filters (their canonical text)."""
    micros = (place.opened_at - _EPOCH) // timedelta(microseconds=1)
    body = _FORM.pack(_VERSION, micros, place.ticket_id.bytes, _digest(filters.encode(), 8))
    return base64.urlsafe_b64encode(body + _digest(body, _CHECK_BYTES)).rstrip(b"=").decode()


def read_cursor(cursor: str, filters: str) -> Place:
    """The place that a cursor names; raises BadCursorError."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadCursorError("It is no cursor of this service.") from None
    body, check = raw[: _FORM.size], raw[_FORM.size :]
    if len(body) != _FORM.size or check != _digest(body, _CHECK_BYTES):
        raise BadCursorError("It is no cursor of this service, or it was cut or changed on the way.")
    version, micros, ticket, of = _FORM.unpack(body)
    if version != _VERSION:
        raise BadCursorError("It is of another version of this service.")
    if of != _digest(filters.encode(), 8):
        raise BadCursorError("It belongs to a list with other filters.")
    try:
        return Place(_EPOCH + timedelta(microseconds=micros), UUID(bytes=ticket))
    except OverflowError:
        raise BadCursorError("It names a time outside the calendar.") from None


def _digest(data: bytes, size: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size, person=b"deskline.cursor").digest()
