"""The Ticket as its events made it: what decisions need, never what anybody wrote."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, overload
from uuid import UUID

from deskline_events.facts import Fact, Priority
from deskline_events.tickets import Stage
from deskline_tickets.domain.events import (
    AutomaticMessageAdded,
    CustomerReplied,
    NoteAdded,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
    TicketOpened,
)

Speaker = Literal["customer", "operator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket at a version; times are commits by the database's clock.

    `seen` holds what was already taken in (source keys, ids of replies and notes), so that a repeat
    is recognised; `last_customer_version` is the version of the customer's last human message.
    """

    id: UUID
    number: int
    line_id: UUID
    contact_id: UUID
    participants: frozenset[UUID]
    version: int
    stage: Stage
    priority: Priority
    level: int
    cycle: int
    assignment_no: int
    reply_token: str
    opened_at: datetime
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    until: datetime | None = None
    closing_reason: str | None = None
    first_human_reply_at: datetime | None = None
    last_speaker: Speaker | None = None
    last_customer_version: int = 0
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored event in its place; `version` is dense from 1, `time` the commit."""

    ticket_id: UUID
    version: int
    time: datetime
    event: Fact


@overload
def evolve(ticket: Ticket, event: Fact, *, ticket_id: UUID, version: int, time: datetime) -> Ticket: ...
@overload
def evolve(ticket: None, event: TicketOpened, *, ticket_id: UUID, version: int, time: datetime) -> Ticket: ...
@overload
def evolve(
    ticket: Ticket | None, event: Fact, *, ticket_id: UUID, version: int, time: datetime
) -> Ticket | None: ...
def evolve(
    ticket: Ticket | None, event: Fact, *, ticket_id: UUID, version: int, time: datetime
) -> Ticket | None:
    """The ticket after a stored event; never fails, and what it doesn't know only moves the version.

    None is a ticket that isn't opened: only TicketOpened makes one.
    """
    if ticket is None:
        return _opened(event, ticket_id, version, time) if isinstance(event, TicketOpened) else None
    ticket = replace(ticket, version=version)
    match event:
        case CustomerReplied(message=message):
            ticket = replace(
                ticket,
                last_speaker="customer",
                last_customer_version=version,
                seen=ticket.seen | {message.source_key},
            )
        case AutomaticMessageAdded(message=message):
            ticket = replace(ticket, seen=ticket.seen | {message.source_key})
        case OperatorReplied(reply_id=reply_id):
            ticket = replace(
                ticket,
                last_speaker="operator",
                first_human_reply_at=ticket.first_human_reply_at or time,
                seen=ticket.seen | {str(reply_id)},
            )
        case NoteAdded(note_id=note_id):
            ticket = replace(ticket, seen=ticket.seen | {str(note_id)})
        case StageChanged():
            ticket = _moved(ticket, event, time)
        case PriorityChanged(after=priority):
            ticket = replace(ticket, priority=priority)
    return ticket


def replay(recorded: Iterable[Recorded]) -> Ticket | None:
    """The ticket that a stream, or its beginning, makes; None where nothing was opened."""
    ticket: Ticket | None = None
    for one in recorded:
        ticket = evolve(ticket, one.event, ticket_id=one.ticket_id, version=one.version, time=one.time)
    return ticket


def _opened(event: TicketOpened, ticket_id: UUID, version: int, time: datetime) -> Ticket:
    human = event.message.kind == "human"
    return Ticket(
        id=ticket_id,
        number=event.number,
        line_id=event.line.line_id,
        contact_id=event.contact_id,
        participants=frozenset({event.contact_id}),
        version=version,
        stage="new",
        priority=event.priority,
        level=event.level,
        cycle=1,
        assignment_no=0,
        reply_token=event.reply_token,
        opened_at=time,
        last_speaker="customer" if human else None,
        last_customer_version=version if human else 0,
        seen=frozenset({event.message.source_key}),
    )


def _moved(ticket: Ticket, event: StageChanged, time: datetime) -> Ticket:
    over = event.after in {"resolved", "closed"}
    return replace(
        ticket,
        stage=event.after,
        cycle=event.cycle,
        assignment_no=event.assignment_no,
        resolved_at=time if event.after == "resolved" else ticket.resolved_at if over else None,
        closed_at=time if event.after == "closed" else None,
        closing_reason=(event.closing_reason or ticket.closing_reason) if over else None,
        until=event.until,
    )
