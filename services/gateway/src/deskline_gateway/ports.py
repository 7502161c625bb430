"""What the door needs of the world: its tokens, and the owners of what is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from deskline_gateway.domain.rules import Method, Owner
from deskline_gateway.domain.tokens import Token


class Tokens(Protocol):
    """The kept tokens; methods raise psycopg.OperationalError while they can't be reached."""

    def find(self, token_id: UUID) -> Token | None:
        """The token of an id, as it is now."""

    def add(self, token: Token) -> None:
        """Keep a new token."""

    def every(self) -> list[Token]:
        """All of them, oldest first."""

    def revoke(self, token_id: UUID, now: datetime) -> bool:
        """End a token; False when there is none. One that has ended keeps its first moment."""

    def note_use(self, token_id: UUID, day: date) -> None:
        """Remember the last day of use."""


@dataclass(frozen=True, slots=True)
class Call:
    """What an owner is sent; `query` and `body` are the caller's bytes."""

    method: Method
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an owner said."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class OwnerAwayError(Exception):
    """An owner gave no whole answer; `maybe_done` when it may have done what it was asked."""

    safe_message = True

    def __init__(self, owner: Owner, *, maybe_done: bool) -> None:
        super().__init__(owner)
        self.owner = owner
        self.maybe_done = maybe_done


class Owners(Protocol):
    """The services behind the door."""

    async def ask(self, owner: Owner, call: Call) -> Answer:
        """Send the call; raises OwnerAwayError."""

    async def reachable(self, owner: Owner) -> bool:
        """Whether the owner answers at all."""
