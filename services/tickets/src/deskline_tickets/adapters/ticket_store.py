"""Tickets by id: a bounded cache, brought forward from the log at every use, over snapshots and events."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final, cast
from uuid import UUID

from eventsourcing.application import LRUCache
from eventsourcing.persistence import EventStore
from pydantic import TypeAdapter

from deskline_chassis.event_log import Appended, EventLog
from deskline_chassis.postgres import Conn
from deskline_tickets.adapters.event_store import FactMapper, JoinedRecorder, StoredFact, TicketEvent
from deskline_tickets.domain.ticket import Ticket, evolve
from deskline_tickets.ports import Change

SNAPSHOT_EVERY: Final = 50
# Raised with every change of Ticket or of evolve: older snapshots are then passed over.
SNAPSHOT_FORMAT: Final = 2
CACHED_TICKETS: Final = 2_000

_STATE: Final = TypeAdapter(Ticket)


@dataclass(frozen=True, slots=True)
class Held:
    """A ticket with the time of its last event, by which the log can tell whether it is still that one."""

    ticket: Ticket
    time: datetime


class TicketStore:
    """One for a process; safe for threads. A held state is believed only if the log has its last event."""

    def __init__(self, log: EventLog, size: int = CACHED_TICKETS) -> None:
        self.log = log
        self._mapper = FactMapper()
        self._cache: LRUCache[UUID, Held] = LRUCache(maxsize=size)

    def load_many(self, connection: Conn, ids: Collection[UUID]) -> dict[UUID, Held]:
        """The tickets that exist, as of the next statement's snapshot; one query, a second where a held
        state is not in the log any more, as after a transaction that others wrote in and that was undone.
        """
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        held = {one: found for one in wanted if (found := self._held(one)) is not None}
        loaded = self._read(connection, wanted, held)
        lost = [one for one in held if one not in loaded]
        if lost:
            loaded |= self._read(connection, lost, {})
        for ticket_id in wanted:
            if ticket_id in loaded:
                self._cache.put(ticket_id, loaded[ticket_id])
        return loaded

    def append(self, connection: Conn, changes: Sequence[Change]) -> tuple[list[Appended], dict[UUID, Held]]:
        """Append in order under the log's lock, keep snapshots; the new states, to be held once committed.

        Raises what EventLog.append raises.
        """
        recorder = JoinedRecorder(connection, self.log)
        store: EventStore[UUID] = EventStore(self._mapper, recorder)
        store.put(
            [
                cast("Any", TicketEvent(change.stream, version, fact.TYPE, fact, _UNSTAMPED, change.cause))
                for change in changes
                for version, fact in enumerate(change.facts, change.version + 1)
            ]
        )
        states = _evolved(changes, recorder.appended)
        _keep_snapshots(
            connection, [state for state, before in states.values() if _is_due(state.ticket, before)]
        )
        return recorder.appended, {one: state for one, (state, _) in states.items()}

    def hold(self, states: dict[UUID, Held]) -> None:
        """Keep states that are committed."""
        for ticket_id, state in states.items():
            self._cache.put(ticket_id, state)

    def forget(self, ids: Iterable[UUID]) -> None:
        """Let go of states that turned out to be others."""
        for one in ids:
            with suppress(KeyError):
                self._cache.get(one, evict=True)

    def _held(self, ticket_id: UUID) -> Held | None:
        try:
            return self._cache.get(ticket_id)
        except KeyError:
            return None

    def _read(self, connection: Conn, ids: Collection[UUID], held: dict[UUID, Held]) -> dict[UUID, Held]:
        known = {one: held[one].ticket.version if one in held else 0 for one in ids}
        rows = JoinedRecorder(connection, self.log).select_many(known, SNAPSHOT_FORMAT)
        found: dict[UUID, Held] = {}
        for stream, listed in groupby(rows, key=lambda row: cast("UUID", row[0].originator_id)):
            state = self._forward(held.get(stream), list(listed))
            if state is not None:
                found[stream] = state
        return found

    def _forward(self, held: Held | None, rows: list[tuple[StoredFact, str | None]]) -> Held | None:
        first, state = rows[0]
        following = rows
        ticket: Ticket | None = None
        if state is not None:
            ticket, following = _STATE.validate_json(state), rows[1:]
        elif held is not None:
            if (first.originator_version, first.time) != (held.ticket.version, held.time):
                return None
            ticket, following = held.ticket, rows[1:]
        for stored, _ in following:
            event: TicketEvent = self._mapper.to_domain_event(stored)
            ticket = evolve(
                ticket,
                event.fact,
                ticket_id=event.originator_id,
                version=event.originator_version,
                time=event.time,
            )
        return None if ticket is None else Held(ticket, rows[-1][0].time)


# The log stamps the time when it appends.
_UNSTAMPED: Final = datetime.min.replace(tzinfo=UTC)


def _evolved(
    changes: Sequence[Change], appended: Sequence[Appended]
) -> dict[UUID, tuple[Held, Ticket | None]]:
    before = {change.stream: change.before for change in reversed(changes)}
    now = dict(before)
    for event in appended:
        now[event.stream] = evolve(
            now[event.stream],
            event.fact,
            ticket_id=event.stream,
            version=event.sequence,
            time=event.time,
        )
    time = appended[-1].time if appended else _UNSTAMPED
    return {one: (Held(ticket, time), before[one]) for one, ticket in now.items() if ticket is not None}


def _is_due(ticket: Ticket, before: Ticket | None) -> bool:
    last = 0 if before is None else before.version
    return ticket.version // SNAPSHOT_EVERY > last // SNAPSHOT_EVERY


def _keep_snapshots(connection: Conn, states: Sequence[Held]) -> None:
    if not states:
        return
    connection.execute(
        "INSERT INTO snapshots (ticket_id, version, time, format, state)"
        " SELECT id, version, time, %s, state::json"
        " FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::text[])"
        " AS new (id, version, time, state)"
        " ON CONFLICT (ticket_id) DO UPDATE SET version = excluded.version, time = excluded.time,"
        " format = excluded.format, state = excluded.state",
        (
            SNAPSHOT_FORMAT,
            [state.ticket.id for state in states],
            [state.ticket.version for state in states],
            [state.time for state in states],
            [_STATE.dump_json(state.ticket).decode() for state in states],
        ),
    )
