"""API tokens: their text, what is kept of it, and when one is good."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

Scope = Literal["own", "team", "queue", "all"]

SECRET_BYTES: Final = 32

# Hex, since base64url has the separator in its alphabet and several texts for one value.
_TEXT: Final = re.compile(r"dsk_([0-9a-f]{32})_([0-9a-f]{64})")
_BEARER: Final = re.compile(r"(?i:bearer) +(\S+) *")
# What an unknown id is compared with, so that it takes as long as a known one.
_NOBODY: Final = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token; its secret is known to its holder alone."""

    id: UUID
    actor_id: UUID
    roles: frozenset[str]
    scope: str
    hash: bytes
    label: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_on: date | None = None


@dataclass(frozen=True, slots=True)
class Presented:
    """A token as a caller brought it, believed by nobody yet."""

    id: UUID
    secret: bytes


def text_of(token_id: UUID, secret: bytes) -> str:
    """The token as its holder sends it."""
    return f"dsk_{token_id.hex}_{secret.hex()}"


def hash_of(secret: bytes) -> bytes:
    """What is kept of a secret: a plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(secret).digest()


def presented(authorization: list[str]) -> Presented | None:
    """The token in the Authorization headers of a call; None when there isn't exactly one."""
    if len(authorization) != 1:
        return None
    bearer = _BEARER.fullmatch(authorization[0])
    found = None if bearer is None else _TEXT.fullmatch(bearer.group(1))
    return None if found is None else Presented(UUID(hex=found.group(1)), bytes.fromhex(found.group(2)))


def is_good(token: Token | None, secret: bytes, now: datetime) -> bool:
    """Whether the secret is this token's and the token counts now; an unknown one (None) never is."""
    same = hmac.compare_digest(hash_of(secret), _NOBODY if token is None else token.hash)
    return same and token is not None and token.revoked_at is None and now < token.expires_at
