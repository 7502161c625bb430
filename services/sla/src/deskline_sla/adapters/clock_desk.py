"""The desk over PostgreSQL: one transaction's rules, tickets, clocks, deadlines and log."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from pydantic_core import to_json

from deskline_chassis.applying import Transaction
from deskline_chassis.deadlines import Deadlines
from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.postgres import Conn, Database
from deskline_events.sla import CalendarChanged, PolicyChanged
from deskline_events.tickets import Actor
from deskline_events.watermarks import Watermark
from deskline_sla.adapters.clock_rows import find_watched, keep_watched
from deskline_sla.adapters.rule_store import RuleStore
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.steps import STEP_KIND
from deskline_sla.ports import Change, Recalculation, Unsettled, Watching

READER: Final = "deskline.sla"
WATCHED: Final = "tickets"


class Completeness(Protocol):
    """Up to when all that an owner committed was read; the chassis' Watermarks."""

    def complete_until(self, connection: Conn, reader: str, owner: str, partition: int) -> datetime | None:
        """By the reader's stored position; None: not known."""

    def latest(self, owner: str) -> Watermark | None:
        """The newest watermark of an owner."""


class PostgresClockDesk:
    """One transaction."""

    def __init__(self, transaction: Transaction, parts: "Desks") -> None:
        self._connection = transaction.connection
        self._after_commit = transaction.after_commit
        self._parts = parts

    def lock(self) -> None:
        self._parts.log.lock(self._connection)

    def now(self) -> datetime:
        row = self._connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
        now: datetime = row[0]
        return now

    def book(self) -> RuleBook:
        return self._parts.rules.book(self._connection)

    def find(self, ticket_ids: Collection[UUID]) -> dict[UUID, Watching]:
        return find_watched(self._connection, ticket_ids)

    def save(self, events: Sequence[NewEvent], changes: Sequence[Change]) -> None:
        if events:
            self._parts.log.append(self._connection, events)
            self._after_commit.append(self._parts.log.ring)
        keep_watched(self._connection, changes)
        cancelling = [change for change in changes if change.cancel]
        if cancelling:
            # One round trip for all of them: the log's lock is held meanwhile.
            with self._connection.pipeline():
                for change in cancelling:
                    ticket_id = change.watching.ticket.id
                    self._parts.deadlines.cancel(self._connection, STEP_KIND, ticket_id, change.cancel)
        self._parts.deadlines.arm(
            self._connection, [deadline for change in changes for deadline in change.arm]
        )

    def complete_until(self, partition: int) -> datetime | None:
        return self._parts.completeness.complete_until(self._connection, READER, WATCHED, partition)

    def announced_until(self) -> datetime | None:
        latest = self._parts.completeness.latest(WATCHED)
        return None if latest is None else latest.time

    def unsettled(self, ticket_ids: Collection[UUID]) -> dict[UUID, Unsettled]:
        rows = self._connection.execute(
            "SELECT subject, CASE WHEN parked THEN 'parked' ELSE 'waiting' END FROM reader_streams"
            " WHERE reader = %s AND owner = %s AND subject = ANY(%s) AND (parked OR waiting)",
            (READER, WATCHED, list(ticket_ids)),
        ).fetchall()
        return dict(rows)

    def put_rules(
        self, rules: Sequence[PolicyChanged | CalendarChanged], cause: Cause
    ) -> tuple[int, datetime]:
        appended = self._parts.log.append(
            self._connection, [NewEvent(_id_of(rule), rule, cause) for rule in rules]
        )
        self._after_commit.append(self._parts.log.ring)
        change_id = 0
        for rule in rules:
            table, key = (
                ("policies", "policy_id") if isinstance(rule, PolicyChanged) else ("calendars", "calendar_id")
            )
            row = self._connection.execute(
                f"INSERT INTO {table} ({key}, version, content, put_at) VALUES (%s, %s, %s::jsonb, %s)"
                " RETURNING change_id",
                (_id_of(rule), rule.version, rule.model_dump_json(), appended[-1].time),
            ).fetchone()
            assert row is not None  # noqa: S101 -- an INSERT of one row returns it
            change_id = row[0]
        return change_id, appended[-1].time

    def plan(self, recalculation: Recalculation) -> None:
        cause, actor = recalculation.cause, recalculation.actor
        self._connection.execute(
            "INSERT INTO recalculations (change_id, rule_id, reason, at, actor, correlation_id, causation_id,"
            " traceparent, after) VALUES (%s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s)",
            (
                recalculation.change_id,
                recalculation.rule_id,
                recalculation.reason,
                recalculation.at,
                None if actor is None else to_json(actor).decode(),
                cause.correlation_id,
                cause.causation_id,
                cause.traceparent,
                recalculation.after,
            ),
        )

    def planned(self) -> Recalculation | None:
        row: tuple[Any, ...] | None = self._connection.execute(
            "SELECT change_id, rule_id, reason, at, actor, correlation_id, causation_id, traceparent, after"
            " FROM recalculations WHERE NOT done ORDER BY change_id LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        change_id, rule_id, reason, at, actor, correlation, causation, trace, after = row
        return Recalculation(
            change_id=change_id,
            rule_id=rule_id,
            reason=reason,
            at=at,
            actor=None if actor is None else Actor.model_validate(actor),
            cause=Cause(correlation, causation, trace),
            after=after,
        )

    def open_tickets(self, after: UUID, limit: int) -> list[UUID]:
        rows = self._connection.execute(
            "SELECT DISTINCT ticket_id FROM clocks WHERE state IN ('running', 'paused') AND ticket_id > %s"
            " ORDER BY ticket_id LIMIT %s",
            (after, limit),
        ).fetchall()
        return [ticket_id for (ticket_id,) in rows]

    def keep_progress(self, change_id: int, after: UUID | None) -> None:
        self._connection.execute(
            "UPDATE recalculations SET done = %(after)s::uuid IS NULL,"
            " after = coalesce(%(after)s::uuid, after)"
            " WHERE change_id = %(change_id)s",
            {"change_id": change_id, "after": after},
        )


class Desks:
    """Opens desks: in a transaction of somebody else's, or each in one of its own."""

    def __init__(self, database: Database, log: EventLog, completeness: Completeness) -> None:
        self._database = database
        self.log = log
        self.rules = RuleStore()
        self.deadlines = Deadlines(log)
        self.completeness = completeness

    def within(self, transaction: Transaction) -> PostgresClockDesk:
        """A desk in a transaction that somebody else commits."""
        return PostgresClockDesk(transaction, self)

    @contextmanager
    def open(self) -> Iterator[PostgresClockDesk]:
        """A desk; committed at the end, rolled back on an error."""
        after_commit: list[Callable[[], None]] = []
        with self._database.transaction() as connection:
            yield PostgresClockDesk(Transaction(connection, after_commit), self)
        for follow in after_commit:
            follow()

    @contextmanager
    def reading(self) -> Iterator[Conn]:
        """A transaction for queries."""
        with self._database.transaction() as connection:
            yield connection

    def close(self) -> None:
        """Let the database go."""
        self._database.close()


def _id_of(rule: PolicyChanged | CalendarChanged) -> UUID:
    return rule.policy_id if isinstance(rule, PolicyChanged) else rule.calendar_id
