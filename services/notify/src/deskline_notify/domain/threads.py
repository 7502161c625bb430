"""The thread of a mail: what it answers and what came before, by the customer's and by our Message-IDs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

MOST_REFERENCES: Final = 10


@dataclass(frozen=True, slots=True)
class Link:
    """A mail of the conversation: its Message-ID without brackets, and when it came or was caused."""

    at: datetime
    message_id: str
    from_customer: bool


@dataclass(frozen=True, slots=True)
class Thread:
    """The headers that keep a conversation together; see RFC 5322 §3.6.4."""

    in_reply_to: str | None = None
    references: tuple[str, ...] = ()


def thread_of(links: Sequence[Link], before: datetime) -> Thread:
    """The thread at that moment, so that a repeated mail has the one that it had before.

    It answers the customer's last mail, or else ours; of a long chain the first and the last are kept.
    """
    # Ours is told of at the moment of theirs that it acknowledges, and comes after it.
    chain = sorted(
        (link for link in links if link.at <= before), key=lambda link: (link.at, not link.from_customer)
    )
    if not chain:
        return Thread()
    theirs = [link for link in chain if link.from_customer]
    parent = (theirs or chain)[-1].message_id
    ids = [one for one in dict.fromkeys(link.message_id for link in chain) if one != parent]
    ids.append(parent)  # the parent comes last, whatever came after it
    if len(ids) > MOST_REFERENCES:
        ids = [ids[0], *ids[-(MOST_REFERENCES - 1) :]]
    return Thread(parent, tuple(ids))
