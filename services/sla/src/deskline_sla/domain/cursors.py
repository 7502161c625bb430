"""Cursors: where a page ended, as one opaque word."""

import base64
import binascii
import json
from typing import ClassVar
from uuid import UUID


class BadCursorError(ValueError):
    """Not a cursor that this service gave for this list."""

    safe_message: ClassVar[bool] = True


def write_cursor(kind: str, order: int, rule_id: UUID) -> str:
    """The cursor after this item of a list."""
    raw = json.dumps([kind, order, str(rule_id)], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_cursor(kind: str, cursor: str) -> tuple[int, UUID]:
    """The item that a cursor names; raises BadCursorError."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        named, order, rule_id = json.loads(raw)
        found = int(order), UUID(rule_id)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        raise BadCursorError("It is no cursor of this service.") from None
    if named != kind:
        raise BadCursorError("It belongs to another list.")
    return found
