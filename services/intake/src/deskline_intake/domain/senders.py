"""Who wrote a message, and the lane in which a sender's messages are read in their order."""

from hashlib import blake2b
from typing import Final
from uuid import UUID

from deskline_intake.domain.addresses import parse_mailboxes
from deskline_intake.domain.headers import raw_text, read_headers
from deskline_intake.domain.limits import MailLimits

LANES: Final = 64
"""Messages of one sender share a lane and are read in their order."""

_LIMITS: Final = MailLimits()


def author_of(head: bytes) -> str | None:
    """Who wrote a mail, by the beginning of it, read as the parser reads it."""
    if b"\n" not in head:
        head = head.replace(b"\r", b"\n")
    boxes = parse_mailboxes(raw_text(read_headers(head, 0, _LIMITS).first("from")), 1)
    return boxes[0].address if boxes else None


def lane_of(line_id: UUID, author: str | None) -> int:
    """Equal for all messages of one sender on one line."""
    digest = blake2b(f"{line_id}/{author or ''}".encode("utf-8", "replace"), digest_size=2)
    return int.from_bytes(digest.digest(), "big") % LANES
