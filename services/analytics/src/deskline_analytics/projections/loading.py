"""Row → what a batch begins with: tickets and clocks; their streams are locked by the reader."""

import itertools
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from deskline_analytics.domain.rows import (
    Card,
    ClockKey,
    ClockRow,
    NotifyPart,
    RoutingPart,
    SlaPart,
    TicketRow,
)
from deskline_analytics.projections.columns import columns_of
from deskline_chassis.postgres import Conn

PARTS: Final = (Card, RoutingPart, SlaPart, NotifyPart)
TICKET_COLUMNS: Final = {
    "ticket_id": "uuid",
    **{name: kind for part in PARTS for name, kind in columns_of(part).items()},
}
_BOUNDS: Final = tuple(1 + sum(len(columns_of(part)) for part in PARTS[:place]) for place in range(5))
_SELECT_TICKETS: Final = f"SELECT {', '.join(TICKET_COLUMNS)} FROM open_tickets WHERE ticket_id = ANY(%s)"
_SELECT_CLOCKS: Final = (
    f"SELECT {', '.join(f's.{name}' for name in columns_of(ClockRow))} FROM sla_outcomes s"
    " JOIN unnest(%s::uuid[], %s::text[], %s::bigint[]) AS wanted (ticket_id, clock, cycle)"
    " USING (ticket_id, clock, cycle)"
)


def load_tickets(connection: Conn, ticket_ids: Iterable[UUID]) -> dict[UUID, TicketRow]:
    """The rows of these tickets; what others tell than the owners of these events may change meanwhile."""
    wanted = list(ticket_ids)
    if not wanted:
        return {}
    return {row[0]: _ticket(row) for row in connection.execute(_SELECT_TICKETS, (wanted,)).fetchall()}


def load_clocks(connection: Conn, keys: Iterable[ClockKey]) -> dict[ClockKey, ClockRow]:
    """The rows of these clocks."""
    wanted = [list(column) for column in zip(*keys, strict=True)]
    if not wanted:
        return {}
    rows = (ClockRow(*row) for row in connection.execute(_SELECT_CLOCKS, wanted).fetchall())
    return {row.key: row for row in rows}


def _ticket(row: tuple[Any, ...]) -> TicketRow:
    card, routing, sla, notify = (row[begin:end] for begin, end in itertools.pairwise(_BOUNDS))
    return TicketRow(
        row[0],
        None if card[0] is None else Card(*card),
        RoutingPart(*routing),
        SlaPart(*sla),
        NotifyPart(*notify),
    )
