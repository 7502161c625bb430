"""The desk over PostgreSQL: one transaction's tickets, look-ups and log."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from deskline_chassis.event_log import EventLog, SequenceTakenError
from deskline_chassis.idempotency import Answer, KeyedCommand, KeyReusedError, find_answer, keep_answer
from deskline_chassis.postgres import Conn, Database
from deskline_chassis.sharing import SharedTransactions
from deskline_tickets.adapters.directory import find_queue, find_serving, find_viewer
from deskline_tickets.adapters.lookups import erased_among, find_rows, take_numbers, write_arrivals
from deskline_tickets.adapters.ticket_store import Held, TicketStore
from deskline_tickets.domain.refusals import KeyReused
from deskline_tickets.domain.rights import Viewer
from deskline_tickets.domain.ticket import Ticket
from deskline_tickets.ports import (
    Arrival,
    Arrived,
    Assignment,
    Caller,
    Change,
    Desk,
    Found,
    QueueKnown,
    Result,
    Wanted,
)
from deskline_tickets.projections import project

AfterCommit = list[Callable[[], None]]


class PostgresDesk:
    """One transaction; what is to happen once it is committed goes to `after_commit`."""

    def __init__(self, connection: Conn, store: TicketStore, after_commit: AfterCommit) -> None:
        self._connection = connection
        self._store = store
        self._log: EventLog = store.log
        self._after_commit = after_commit

    def warm(self, wanted: Wanted) -> None:
        self.find(wanted)

    def lock(self) -> None:
        self._log.lock(self._connection)

    def find(self, wanted: Wanted) -> Found:
        sources, message_ids, numbers = find_rows(self._connection, wanted)
        ids = {*wanted.ticket_ids, *message_ids.values(), *numbers.values()}
        held = self._store.load_many(self._connection, ids)
        return Found(sources, {one: found.ticket for one, found in held.items()}, message_ids, numbers)

    def ticket(self, ticket_id: UUID) -> Ticket | None:
        held: Held | None = self._store.load_many(self._connection, [ticket_id]).get(ticket_id)
        return None if held is None else held.ticket

    def now(self) -> datetime:
        row = self._connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
        now: datetime = row[0]
        return now

    def erased_among(self, persons: Collection[UUID]) -> frozenset[UUID]:
        return erased_among(self._connection, persons)

    def viewer(self, caller: Caller) -> Viewer:
        return find_viewer(self._connection, caller)

    def queue(self, queue_id: UUID) -> QueueKnown | None:
        return find_queue(self._connection, queue_id)

    def serving(self, assignments: Collection[Assignment]) -> frozenset[Assignment]:
        return find_serving(self._connection, assignments)

    def take_numbers(self, count: int) -> list[int]:
        return take_numbers(self._connection, count)

    def arrived(self, ticket_id: UUID, after: int, up_to: int) -> list[Arrived]:
        if after >= up_to:
            return []
        rows = self._connection.execute(
            "SELECT sequence, type, time FROM events WHERE stream = %s AND sequence > %s AND sequence <= %s"
            " ORDER BY sequence",
            (ticket_id, after, up_to),
        ).fetchall()
        return [Arrived(version, kind, time) for version, kind, time in rows]

    def save(self, changes: Sequence[Change], arrivals: Sequence[Arrival] = ()) -> Mapping[UUID, int]:
        versions: dict[UUID, int] = {}
        telling = [change for change in changes if change.facts]
        if telling:
            try:
                appended, states = self._store.append(self._connection, telling)
            except SequenceTakenError:
                self._store.forget(change.stream for change in telling)
                raise
            project(self._connection, appended)
            versions = {event.stream: event.sequence for event in appended}
            self._after_commit.append(lambda: self._store.hold(states))
            self._after_commit.append(self._log.ring)
        write_arrivals(self._connection, arrivals)
        return versions

    def answered(self, command: KeyedCommand) -> Answer | None:
        try:
            return find_answer(self._connection, command)
        except KeyReusedError:
            raise KeyReused from None

    def remember(self, command: KeyedCommand, answer: Answer) -> None:
        keep_answer(self._connection, command, answer)


class Desks:
    """Desks for commands; those that come at one moment share a transaction."""

    def __init__(self, database: Database, store: TicketStore) -> None:
        self._transactions = SharedTransactions(database)
        self._store = store

    def give(self, work: Callable[[Desk], Result]) -> Result:
        """See `ports.AtDesk`."""
        after_commit: AfterCommit = []
        result = self._transactions.run(
            lambda connection: work(PostgresDesk(connection, self._store, after_commit))
        )
        for follow in after_commit:
            follow()
        return result
