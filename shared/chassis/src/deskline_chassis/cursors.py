"""Cursors: where a page of a list ended, as one opaque word that works with that list only."""

import base64
import hashlib
from datetime import datetime
from typing import Any, ClassVar, Final, TypeVar, overload
from uuid import UUID

from pydantic_core import from_json, to_json

_CHECK_BYTES: Final = 6

Part = int | UUID | datetime
First = TypeVar("First", int, UUID, datetime)
Second = TypeVar("Second", int, UUID, datetime)


class BadCursorError(ValueError):
    """A cursor that no page of this list gave out."""

    safe_message: ClassVar[bool] = True


def write_cursor(list_name: str, *parts: Part) -> str:
    """The cursor behind the item with these parts; whole numbers from 0 to 2^63-1, moments with a zone.

    The name is all that tells lists apart: the list of one ticket has that ticket's id in it.
    """
    return _sealed(list_name, to_json([part if isinstance(part, int) else _text(part) for part in parts]))


@overload
def read_cursor(list_name: str, cursor: str, first: type[First], /) -> tuple[First]: ...
@overload
def read_cursor(
    list_name: str, cursor: str, first: type[First], second: type[Second], /
) -> tuple[First, Second]: ...
def read_cursor(list_name: str, cursor: str, /, *kinds: Any) -> tuple[Any, ...]:
    """The parts of a cursor, of these kinds; raises BadCursorError."""
    try:
        body = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[_CHECK_BYTES:]
        # The check is no secret: whoever makes one up gets as far as the parts, which are looked at too.
        if _sealed(list_name, body) != cursor or not isinstance(parts := from_json(body), list):
            raise ValueError
        return tuple(_part(kind, value) for kind, value in zip(kinds, parts, strict=True))
    except ValueError:
        raise BadCursorError("this cursor was given out by no page") from None


def _sealed(list_name: str, body: bytes) -> str:
    check = hashlib.blake2b(
        list_name.encode() + b"\0" + body, digest_size=_CHECK_BYTES, person=b"deskline.cursor"
    ).digest()
    return base64.urlsafe_b64encode(check + body).rstrip(b"=").decode()


def _text(part: UUID | datetime) -> str:
    return str(part) if isinstance(part, UUID) else part.isoformat()


def _part(kind: type[Part], value: Any) -> Part:
    if kind is int and type(value) is int and 0 <= value < 2**63:
        return value
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment
    raise ValueError
