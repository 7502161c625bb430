"""To which ticket a message belongs: decided from verified references and tickets already looked up."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from deskline_events.facts import Channel
from deskline_events.intake import MessageKind
from deskline_events.tickets import Link
from deskline_tickets.domain.ticket import Ticket
from deskline_tickets.domain.tokens import (
    message_id_hash,
    ticket_number_in,
    ticket_of_message_id,
    verify_reply_token,
)

# A thread's nearest ancestors name its ticket; a hostile mail may name thousands.
MOST_REFERENCES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What threading asks of a message; `references` and `bounced` are space-separated Message-IDs."""

    line_id: UUID
    sender: UUID
    kind: MessageKind
    received_at: datetime
    channel: Channel = "email"
    subject: str = ""
    reply_token: str | None = None
    references: str | None = None
    bounced: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What a message says of its ticket: ids only from what our key verified; hashes to look up."""

    by_token: UUID | None = None
    by_own_message_id: tuple[UUID, ...] = ()
    stored_message_ids: tuple[bytes, ...] = ()
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The tickets that a message's traces led to, the nearest reference first."""

    by_token: Ticket | None = None
    by_own_message_id: tuple[Ticket, ...] = ()
    by_stored_message_id: tuple[Ticket, ...] = ()
    by_number: Ticket | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """The message belongs to this ticket; what it does there, its kind says."""

    ticket_id: UUID


@dataclass(frozen=True, slots=True)
class Open:
    """The message opens a ticket."""

    link: Link | None = None

    @property
    def suspect(self) -> bool:
        """It claims to belong to a ticket whose participant its sender is not."""
        return self.link is not None and self.link.kind == "suspected_reply_to"


@dataclass(frozen=True, slots=True)
class SetAside:
    """The message makes no ticket."""

    reason: Literal["bounce", "list", "own_loop", "person_erased"]


Target = Append | Open | SetAside


def traces_in(message: Incoming, key: bytes, own_domains: Collection[str] | None = None) -> Traces:
    """What to look up; what our key doesn't verify is left out. A bounce counts by what it embeds.

    `own_domains` (lower case) are those of our Message-IDs, None where the key alone decides.
    """
    # What is typed into a form proves nothing and continues nothing: it opens a ticket.
    if message.kind == "own_loop" or message.channel == "form":
        return Traces()
    bounce = message.kind == "bounce"
    named = _message_ids(message.bounced if bounce else message.references)
    verified = (ticket_of_message_id(key, one, own_domains) for one in named)
    return Traces(
        by_token=None if bounce else verify_reply_token(key, message.reply_token or ""),
        by_own_message_id=tuple(dict.fromkeys(ticket for ticket in verified if ticket is not None)),
        stored_message_ids=tuple(message_id_hash(message.line_id, one) for one in named),
        number=None if bounce else ticket_number_in(message.subject),
    )


def candidates_for(
    traces: Traces,
    tickets: Mapping[UUID, Ticket],
    stored: Mapping[bytes, UUID],
    numbers: Mapping[int, UUID],
) -> Candidates:
    """The candidates among looked-up rows: tickets by id, Message-IDs by hash, numbers."""
    by_stored = dict.fromkeys(stored[one] for one in traces.stored_message_ids if one in stored)
    numbered = numbers.get(traces.number) if traces.number is not None else None
    return Candidates(
        by_token=tickets.get(traces.by_token) if traces.by_token else None,
        by_own_message_id=_present(tickets, traces.by_own_message_id),
        by_stored_message_id=_present(tickets, by_stored),
        by_number=tickets.get(numbered) if numbered else None,
    )


def choose_target(message: Incoming, candidates: Candidates, *, window: timedelta) -> Target:
    """Where a message goes; `window` is how long after closing a reply still reopens."""
    match message.kind:
        case "own_loop":
            return SetAside("own_loop")
        case "bounce":
            return _place_bounce(message, candidates)
    ticket = _first_match(message, candidates)
    if ticket is not None and message.sender in ticket.participants:
        return _place_reply(message, ticket, window) if message.kind == "human" else Append(ticket.id)
    if message.kind == "list":
        return SetAside("list")
    if ticket is None or ticket.stage == "spam":
        return Open()
    return Open(Link(kind="suspected_reply_to", ticket_id=ticket.id))


def _place_reply(message: Incoming, ticket: Ticket, window: timedelta) -> Target:
    if ticket.stage == "spam":
        return Open()
    past = ticket.closed_at is not None and message.received_at - ticket.closed_at > window
    if past or ticket.stage in {"abandoned", "merged"}:
        return Open(Link(kind="follow_up_of", ticket_id=ticket.id))
    return Append(ticket.id)


def _place_bounce(message: Incoming, candidates: Candidates) -> Target:
    # A daemon writes it, so the sender proves nothing; the line and what it embeds do.
    for ticket in candidates.by_own_message_id + candidates.by_stored_message_id:
        if ticket.line_id == message.line_id:
            return Append(ticket.id)
    return SetAside("bounce")


def _first_match(message: Incoming, candidates: Candidates) -> Ticket | None:
    same_line = tuple(t for t in candidates.by_stored_message_id if t.line_id == message.line_id)
    rules = (
        (candidates.by_token,) if candidates.by_token else (),
        candidates.by_own_message_id,
        same_line,
        (candidates.by_number,) if candidates.by_number else (),
    )
    for found in rules:
        if found:
            return next((ticket for ticket in found if message.sender in ticket.participants), found[0])
    return None


def _message_ids(text: str | None) -> tuple[str, ...]:
    # References ends with the parent (RFC 5322 §3.6.4), so the last is the nearest.
    return tuple(dict.fromkeys(reversed((text or "").split()[-MOST_REFERENCES:])))


def _present(tickets: Mapping[UUID, Ticket], ids: Iterable[UUID]) -> tuple[Ticket, ...]:
    return tuple(tickets[one] for one in ids if one in tickets)
