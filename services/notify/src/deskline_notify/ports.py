"""What the handlers and the channel need of the world outside."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail as a provider takes it; an empty sender is RFC 5321's null reverse-path."""

    sender: str
    recipient: str
    content: bytes


class RefusedError(Exception):
    """The provider refused this mail by a reply code."""

    safe_message = True

    def __init__(self, code: int) -> None:
        super().__init__(f"refused with {code}")
        self.code = code


class InterruptedSendingError(Exception):
    """The connection failed under the mail: whether it was taken is not known."""

    safe_message = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProviderAwayError(Exception):
    """The provider can't be reached, or refuses us whatever we send; no mail is to blame."""

    safe_message = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Connection(Protocol):
    """One connection to the provider, opened when it is first needed and kept."""

    async def send(self, mail: Outgoing) -> None:
        """Hand the mail over; raises RefusedError, InterruptedSendingError, ProviderAwayError."""

    async def close(self) -> None:
        """Let go of it; never raises."""
