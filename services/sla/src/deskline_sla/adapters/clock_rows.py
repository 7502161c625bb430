"""Tickets and their clocks as rows; a batch is one statement each way."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_json

from deskline_chassis.event_log import Cause
from deskline_chassis.postgres import Conn
from deskline_events.conditions import Circumstances
from deskline_events.sla import Basis
from deskline_sla.domain.clock import Clock, FiredStep, Segment
from deskline_sla.domain.watched import WatchedTicket
from deskline_sla.ports import Change, Watching

_SEGMENTS: Final = TypeAdapter(tuple[Segment, ...])
_FIRED: Final = TypeAdapter(tuple[FiredStep, ...])

_TICKET_COLUMNS: Final = {
    "ticket_id": "uuid",
    "circumstances": "jsonb",
    "cycle": "int",
    "customer_wrote_at": "timestamptz",
    "partition": "int",
    "correlation_id": "uuid",
    "causation_id": "uuid",
    "traceparent": "text",
}
_CLOCK_COLUMNS: Final = {
    "ticket_id": "uuid",
    "name": "text",
    "cycle": "int",
    "generation": "int",
    "state": "text",
    "policy_id": "uuid",
    "policy_version": "int",
    "calendar_id": "uuid",
    "calendar_version": "int",
    "target_seconds": "int",
    "due_at": "timestamptz",
    "ended_at": "timestamptz",
    "breached_since": "timestamptz",
    "segments": "jsonb",
    "fired": "jsonb",
}


def _upsert(table: str, columns: dict[str, str], key: tuple[str, ...]) -> str:
    named = ", ".join(columns)
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    return (
        f"INSERT INTO {table} ({named}) SELECT {named} FROM jsonb_to_recordset(%s::jsonb) AS new ({typed})"
        f" ORDER BY {', '.join(key)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changed}"
    )


_KEEP_TICKETS: Final = _upsert("tickets", _TICKET_COLUMNS, ("ticket_id",))
_KEEP_CLOCKS: Final = _upsert("clocks", _CLOCK_COLUMNS, ("ticket_id", "name", "cycle"))


def find_watched(connection: Conn, ticket_ids: Collection[UUID]) -> dict[UUID, Watching]:
    """These tickets with all their clocks, in two queries."""
    if not ticket_ids:
        return {}
    wanted = list(ticket_ids)
    rows = connection.execute(
        f"SELECT {', '.join(_TICKET_COLUMNS)} FROM tickets WHERE ticket_id = ANY(%s)", (wanted,)
    ).fetchall()
    clocks: dict[UUID, list[Clock]] = {row[0]: [] for row in rows}
    for row in connection.execute(
        f"SELECT {', '.join(_CLOCK_COLUMNS).replace('segments, fired', 'segments::text, fired::text')}"
        " FROM clocks WHERE ticket_id = ANY(%s) ORDER BY ticket_id, name, cycle",
        (wanted,),
    ).fetchall():
        clocks[row[0]].append(_clock(row))
    found: dict[UUID, Watching] = {}
    for ticket_id, circumstances, cycle, wrote_at, partition, *cause in rows:
        ticket = WatchedTicket(
            ticket_id,
            Circumstances.model_validate(circumstances),
            cycle,
            wrote_at,
            tuple(clocks[ticket_id]),
        )
        found[ticket_id] = Watching(ticket, partition, Cause(*cause))
    return found


def keep_watched(connection: Conn, changes: Sequence[Change]) -> None:
    """Write the rows of tickets and of the clocks that changed, in key order."""
    if not changes:
        return
    connection.execute(_KEEP_TICKETS, (_json([_ticket_row(change.watching) for change in changes]),))
    rows = [_clock_row(change.watching.ticket.id, clock) for change in changes for clock in change.clocks]
    if rows:
        connection.execute(_KEEP_CLOCKS, (_json(rows),))


def _json(rows: list[dict[str, Any]]) -> str:
    return to_json(rows).decode()


def _ticket_row(watching: Watching) -> dict[str, Any]:
    ticket, cause = watching.ticket, watching.cause
    return {
        "ticket_id": ticket.id,
        "circumstances": ticket.circumstances,
        "cycle": ticket.cycle,
        "customer_wrote_at": ticket.customer_wrote_at,
        "partition": watching.partition,
        "correlation_id": cause.correlation_id,
        "causation_id": cause.causation_id,
        "traceparent": cause.traceparent,
    }


def _clock_row(ticket_id: UUID, clock: Clock) -> dict[str, Any]:
    basis = clock.basis
    return {
        "ticket_id": ticket_id,
        "name": clock.name,
        "cycle": clock.cycle,
        "generation": clock.generation,
        "state": clock.state,
        "policy_id": basis.policy_id,
        "policy_version": basis.policy_version,
        "calendar_id": basis.calendar_id,
        "calendar_version": basis.calendar_version,
        "target_seconds": basis.target_seconds,
        "due_at": clock.due_at,
        "ended_at": clock.ended_at,
        "breached_since": clock.breached_since,
        "segments": clock.segments,
        "fired": clock.fired,
    }


def _clock(row: tuple[Any, ...]) -> Clock:
    found = dict(zip(_CLOCK_COLUMNS, row, strict=True))
    return Clock(
        name=found["name"],
        cycle=found["cycle"],
        generation=found["generation"],
        state=found["state"],
        basis=Basis(
            policy_id=found["policy_id"],
            policy_version=found["policy_version"],
            calendar_id=found["calendar_id"],
            calendar_version=found["calendar_version"],
            target_seconds=found["target_seconds"],
        ),
        due_at=found["due_at"],
        segments=_SEGMENTS.validate_json(found["segments"]),
        ended_at=found["ended_at"],
        breached_since=found["breached_since"],
        fired=_FIRED.validate_json(found["fired"]),
    )
