"""A batch under way: the rows as they were before it, and what its events make of them."""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from deskline_analytics.domain.rows import Card, Changes, ClockKey, ClockRow, Part, TicketRow, TimelineRow
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.sla import ClockName
from deskline_events.tickets import Actor


class TicketUnknownError(Exception):
    """An event of a ticket that was never opened: its stream doesn't begin with TicketOpened."""

    safe_message: ClassVar[bool] = True


class ClockUnknownError(Exception):
    """An event of a clock that was never started."""

    safe_message: ClassVar[bool] = True


@dataclass(slots=True)
class Known:
    """Rows of tickets and clocks as they were before a batch; the batch uses them up."""

    tickets: MutableMapping[UUID, TicketRow] = field(default_factory=dict)
    clocks: Mapping[ClockKey, ClockRow] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """What handlers act on."""

    known: Known
    changes: Changes

    def row(self, ticket_id: UUID, part: Part) -> TicketRow:
        """The ticket's row, of which this part changes; made where no owner has told of the ticket yet."""
        row = self.changes.tickets.get(ticket_id)
        if row is None:
            row = self.known.tickets.get(ticket_id) or TicketRow(ticket_id)
            self.changes.tickets[ticket_id] = row
        row.told.add(part)
        return row

    def card(self, envelope: Envelope) -> Card:
        """What tickets told of the ticket so far, moved on to this event; raises TicketUnknownError."""
        card = self.row(envelope.subject, "card").card
        if card is None:
            raise TicketUnknownError(f"ticket {envelope.subject} has no TicketOpened before this event")
        card.version, card.changed_at = envelope.sequence, utc(envelope.time)
        return card

    def clock(self, envelope: Envelope, clock: ClockName, cycle: int) -> ClockRow:
        """The clock's row; raises ClockUnknownError."""
        key = envelope.subject, clock, cycle
        row = self.changes.clocks.get(key) or self.known.clocks.get(key)
        if row is None:
            raise ClockUnknownError(
                f"clock {clock} of cycle {cycle} of ticket {envelope.subject} was not started"
            )
        self.changes.clocks[key] = row
        return row

    def tell(self, envelope: Envelope, fact: Fact, actor: Actor, **details: Any) -> None:
        """Add the event to the ticket's timeline."""
        self.changes.timeline.append(
            TimelineRow(
                ticket_id=envelope.subject,
                sequence=envelope.sequence,
                event_id=envelope.id,
                type=type(fact).__name__,
                time=utc(envelope.time),
                actor_kind=actor.kind,
                actor_id=actor.id,
                causation_id=envelope.causation_id,
                correlation_id=envelope.correlation_id,
                details=details,
            )
        )


Handler = Callable[[Work, Envelope, Any], None]
Handlers = Mapping[type[Fact], Handler]


def utc(moment: datetime) -> datetime:
    """The same moment in UTC."""
    # A moment without a zone is a fault of its writer; read as UTC it is at least the same everywhere.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
