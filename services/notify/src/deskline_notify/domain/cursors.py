"""Cursors: where a page ended, as a text that can't be made up by accident."""

import base64
import binascii
import hashlib
import struct
from typing import Final
from uuid import UUID

_FORM: Final = struct.Struct(">BQ")
_VERSION: Final = 1
_CHECK_BYTES: Final = 6


class BadCursorError(ValueError):
    """A cursor that this service did not give for this list."""


def write_cursor(place: int, ticket_id: UUID) -> str:
    """The cursor of a place in a ticket's list."""
    body = _FORM.pack(_VERSION, place)
    return base64.urlsafe_b64encode(body + _check(body, ticket_id)).rstrip(b"=").decode()


def read_cursor(cursor: str, ticket_id: UUID) -> int:
    """The place that a cursor names; raises BadCursorError."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadCursorError("It is no cursor of this service.") from None
    body, check = raw[: _FORM.size], raw[_FORM.size :]
    if len(body) != _FORM.size or check != _check(body, ticket_id):
        raise BadCursorError("It is no cursor of this list, or it was changed on the way.")
    version, place = _FORM.unpack(body)
    if version != _VERSION or place >= 2**63:
        raise BadCursorError("It is of another version of this service.")
    return int(place)


def _check(body: bytes, ticket_id: UUID) -> bytes:
    return hashlib.blake2b(
        body + ticket_id.bytes, digest_size=_CHECK_BYTES, person=b"deskline.cursor"
    ).digest()
