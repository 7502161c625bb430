"""Ids of notifications, the Message-IDs of our mails, and the addresses that answers come back to."""

import base64
import re
from typing import Final
from uuid import UUID, uuid5

from deskline_events.notify import Recipient

# Fixed for ever: a notification's id, and with it the Message-ID of a repeated mail, is derived from it.
_NAMESPACE: Final = UUID("0d3f6f0e-6f0c-5a53-8f27-5b1f1b1c9a44")
_MOST_LOCAL: Final = 64
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_MOST_ADDRESS: Final = 254
_WIDE_DOT: Final = "。"


def notification_id_of(event_id: UUID, recipient: Recipient, channel: str) -> UUID:
    """The id of what an event tells a recipient by a channel: always the same one."""
    return uuid5(_NAMESPACE, f"{event_id}|{recipient.kind}|{recipient.id}|{channel}")


def message_id_of(notification_id: UUID, reply_token: str, domain: str) -> str:
    """Our Message-ID without brackets; the token in it leads an answer or a bounce to its ticket."""
    named = base64.b32encode(notification_id.bytes).decode("ascii").rstrip("=").lower()
    return f"{named}.{reply_token}@{domain}"


def plus_address(address: str, reply_token: str) -> str:
    """The line's address with the token; without it where RFC 5321's 64 characters have no room."""
    local, _, domain = address.rpartition("@")
    tagged = f"{local}+{reply_token}"
    return f"{tagged}@{domain}" if len(tagged) <= _MOST_LOCAL else address


def usable_address(address: str) -> str | None:
    """The address as an envelope takes it, its domain in ASCII; None where no mail can go there."""
    local, at, domain = address.strip().rpartition("@")
    if not at:
        return None
    try:
        ascii_domain = domain.replace(_WIDE_DOT, ".").encode("idna").decode("ascii")
    except UnicodeError:
        return None
    usable = f"{local}@{ascii_domain}"
    return usable if len(usable) <= _MOST_ADDRESS and _ADDRESS.fullmatch(usable) else None
