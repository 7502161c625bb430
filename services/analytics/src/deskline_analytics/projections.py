"""Event → row: a batch of events as a handful of statements over arrays, whatever its size.

Table names are unqualified: the connection's search path decides between the live tables and those
that a rebuild fills.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from datetime import datetime
from typing import Any, Final, get_args, get_type_hints
from uuid import UUID

from pydantic_core import to_json

from deskline_analytics.domain.projecting import project, tickets_in
from deskline_analytics.domain.rows import Changes, FlowRow, TicketRow
from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.postgres import Conn

MODELS: Final = ("open_tickets", "ticket_timeline", "daily_flow", "lines", "freshness")

_SQL_TYPES: Final = {UUID: "uuid", datetime: "timestamptz", bool: "boolean", int: "bigint"}


def _sql_type(hint: Any) -> str:
    """The array's element type for a field: text unless told otherwise, as for literals."""
    members = [member for member in get_args(hint) if isinstance(member, type)] or [hint]
    return _SQL_TYPES.get(members[0], "text")


_TICKET_TYPES: Final = tuple(_sql_type(hint) for hint in get_type_hints(TicketRow).values())
_TICKET_COLUMNS: Final = tuple(field.name for field in fields(TicketRow))
_FLOW_COLUMNS: Final = tuple(field.name for field in fields(FlowRow))


def _unnest(types: Iterable[str]) -> str:
    return ", ".join(f"%s::{type_}[]" for type_ in types)


_SELECT_TICKETS: Final = f"SELECT {', '.join(_TICKET_COLUMNS)} FROM open_tickets WHERE ticket_id = ANY(%s)"
_UPSERT_TICKETS: Final = (
    f"INSERT INTO open_tickets ({', '.join(_TICKET_COLUMNS)}) SELECT * FROM unnest({_unnest(_TICKET_TYPES)})"
    " ON CONFLICT (ticket_id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _TICKET_COLUMNS[1:])
)
_INSERT_TIMELINE: Final = (
    "INSERT INTO ticket_timeline (ticket_id, sequence, event_id, type, time, actor_kind, actor_id,"
    " causation_id, correlation_id, details)"
    " SELECT ticket_id, sequence, event_id, type, time, actor_kind, actor_id, causation_id, correlation_id,"
    " details::jsonb FROM unnest("
    + _unnest(
        ("uuid", "bigint", "uuid", "text", "timestamptz", "text", "uuid", "uuid", "uuid", "text"),
    )
    + ") AS new (ticket_id, sequence, event_id, type, time, actor_kind, actor_id, causation_id,"
    " correlation_id, details)"
)
_ADD_FLOW: Final = (
    f"INSERT INTO daily_flow (bucket, line_id, {', '.join(_FLOW_COLUMNS)})"
    f" SELECT * FROM unnest({_unnest(('timestamptz', 'uuid', *('bigint' for _ in _FLOW_COLUMNS)))})"
    " ON CONFLICT (bucket, line_id) DO UPDATE SET "
    + ", ".join(f"{column} = daily_flow.{column} + excluded.{column}" for column in _FLOW_COLUMNS)
)
_TELL_LINES: Final = (
    "INSERT INTO lines (line_id, name, channel, language, told_at, told_by)"
    f" SELECT * FROM unnest({_unnest(('uuid', 'text', 'text', 'text', 'timestamptz', 'uuid'))})"
    " ON CONFLICT (line_id) DO UPDATE SET name = excluded.name, channel = excluded.channel,"
    " language = excluded.language, told_at = excluded.told_at, told_by = excluded.told_by"
    " WHERE (lines.told_at, lines.told_by) < (excluded.told_at, excluded.told_by)"
)
_REFRESH: Final = (
    "INSERT INTO freshness (owner, as_of) SELECT * FROM unnest(%s::text[], %s::timestamptz[])"
    " ON CONFLICT (owner) DO UPDATE SET as_of = greatest(freshness.as_of, excluded.as_of)"
)


def apply_events(transaction: Transaction, received: Sequence[Received]) -> None:
    """Bring the read models forward by a batch; raises TicketUnknownError."""
    connection = transaction.connection
    events = [(one.envelope, one.fact) for one in received]
    write(connection, project(events, load_tickets(connection, tickets_in(events))))


def load_tickets(connection: Conn, ticket_ids: Iterable[UUID]) -> dict[UUID, TicketRow]:
    """The rows of these tickets; their streams are locked by the reader, so nobody else changes them."""
    wanted = list(ticket_ids)
    if not wanted:
        return {}
    rows = connection.execute(_SELECT_TICKETS, (wanted,)).fetchall()
    return {row[0]: TicketRow(*row) for row in rows}


def write(connection: Conn, changes: Changes) -> None:
    """Write a batch's changes; rows that readers share come last and in key order."""
    _many(connection, _UPSERT_TICKETS, [astuple(row) for row in changes.tickets.values()])
    _many(
        connection,
        _INSERT_TIMELINE,
        [
            (
                row.ticket_id,
                row.sequence,
                row.event_id,
                row.type,
                row.time,
                row.actor_kind,
                row.actor_id,
                row.causation_id,
                row.correlation_id,
                to_json(row.details).decode(),
            )
            for row in changes.timeline
        ],
    )
    _many(connection, _TELL_LINES, [astuple(changes.lines[line]) for line in sorted(changes.lines)])
    _many(connection, _ADD_FLOW, [(*key, *astuple(changes.flow[key])) for key in sorted(changes.flow)])
    _many(connection, _REFRESH, sorted(changes.fresh.items()))


def forget_erased(connection: Conn) -> int:
    """Blank the subjects of tickets whose contact was erased since; how many.

    A rebuild reads them as "erased" by itself, so the two stay equal.
    """
    done = connection.execute(
        "UPDATE open_tickets SET subject = 'erased' WHERE subject <> 'erased'"
        " AND contact_id IN (SELECT subject FROM known_keys WHERE erased_at IS NOT NULL)"
    )
    return done.rowcount


def _many(connection: Conn, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        connection.execute(statement, [list(column) for column in zip(*rows, strict=True)])
