"""What judges ask of a deployment, whoever provides it: stores, topics, mails, a place at its door."""

from collections.abc import Sequence
from typing import Any, Protocol


class Letter(Protocol):
    """A mail that arrived; its Message-ID with brackets."""

    @property
    def message_id(self) -> str: ...


class Site(Protocol):
    """A deployment that runs."""

    @property
    def bootstrap(self) -> str:
        """Its Kafka."""

    @property
    def key_encryption_key(self) -> str:
        """What wraps persons' keys: base64 of 32 bytes."""

    def letters(self, recipient: str | None = None) -> Sequence[Letter]:
        """The mail that it sent, oldest first; all of it or one recipient's."""

    def owner_url(self, service: str) -> str:
        """A service's database, as a role that may read everything."""


class Desk(Protocol):
    """An administrator's place at the door."""

    def get(self, path: str, **query: Any) -> Any:
        """What a query answers."""
