"""What our mails carry so that an answer finds its ticket: reply tokens, also in Message-IDs, and numbers."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection
from typing import Final
from uuid import UUID

# 80 bits, the least that RFC 2104 §5 advises: a local part has room for 64 characters in all.
_TOKEN_TAG_BYTES: Final = 10
_ID_BYTES: Final = 16
_MOST_CHARACTERS: Final = 400

_NUMBER: Final = re.compile(r"\[#([1-9][0-9]{0,17})\]")


def issue_reply_token(key: bytes, ticket_id: UUID) -> str:
    """A ticket's token for the plus-address: 42 characters of lower-case base32."""
    return _to_text(ticket_id.bytes + _tag(key, ticket_id.bytes))


def verify_reply_token(key: bytes, token: str) -> UUID | None:
    """The ticket of a token that we issued, in whatever case it came back; None for any other."""
    data = _to_bytes(token, _ID_BYTES + _TOKEN_TAG_BYTES)
    if data is None:
        return None
    ticket, tag = data[:_ID_BYTES], data[_ID_BYTES:]
    genuine = hmac.compare_digest(tag, _tag(key, ticket))
    return UUID(bytes=ticket) if genuine else None


def ticket_of_message_id(
    key: bytes, message_id: str, own_domains: Collection[str] | None = None
) -> UUID | None:
    """The ticket of a Message-ID of ours, `<{anything}.{reply token}@{own domain}>`; None for any other.

    `own_domains` (lower case) are those that are ours, None where the token alone decides.
    """
    local, at, domain = bare(message_id).rpartition("@")
    if not at or (own_domains is not None and domain.lower() not in own_domains):
        return None
    name, dot, token = local.rpartition(".")
    return verify_reply_token(key, token) if name and dot else None


def ticket_number_in(subject: str) -> int | None:
    """The first `[#123]` of a subject, the one form that our mails use."""
    found = _NUMBER.search(subject)
    return int(found.group(1)) if found else None


def message_id_hash(line_id: UUID, message_id: str) -> bytes:
    """Under what a stored Message-ID is looked up, per line; brackets don't count, case does."""
    return hashlib.sha256(line_id.bytes + bare(message_id).encode("utf-8", "surrogatepass")).digest()


def bare(message_id: str) -> str:
    """A Message-ID without blanks and angle brackets around it."""
    return message_id.strip().removeprefix("<").removesuffix(">")


def _tag(key: bytes, named: bytes) -> bytes:
    # The purpose keeps a tag of another kind, should there be one, from being passed off as a token's.
    return hmac.digest(key, b"reply-token\0" + named, "sha256")[:_TOKEN_TAG_BYTES]


def _to_text(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _to_bytes(text: str, size: int) -> bytes | None:
    if len(text) > _MOST_CHARACTERS or not text.isascii():
        return None
    try:
        data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error:
        return None
    # The last character may hold unused bits: one spelling only, or a changed token would pass.
    return data if len(data) == size and _to_text(data) == text.lower() else None
