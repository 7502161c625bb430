"""Deadlines: moments kept in the database, each fired exactly once in the transaction of its facts.

They are due by the database's clock, armed, cancelled and claimed under the log's lock.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from deskline_chassis import metrics
from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import cause_of
from deskline_chassis.event_log import EventLog
from deskline_chassis.loops import Beat, FatalLoopError, Run
from deskline_chassis.postgres import Conn, Database, is_surroundings

log = structlog.get_logger(__name__)

MAX_CLAIMED: Final = 200
TRIES: Final = 5
POLL_SECONDS: Final = 0.25
OVERVIEW_SECONDS: Final = 5.0
_COMMIT_SECONDS: Final = 0.005
_BACKOFF_SECONDS: Final = (0.2, 2.0)
_FIRST_WAIT: Final = timedelta(milliseconds=250)
_LONGEST_WAIT: Final = timedelta(seconds=2)
_COLUMNS: Final = "kind, subject, key, generation, due_at, data"

Identity = tuple[str, UUID, str, int]
"""(kind, subject, key, generation): fired at most once, ever."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment at which something is to be decided; `data` is JSON without anything personal."""

    kind: str
    subject: UUID
    key: str
    generation: int
    due_at: datetime
    data: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def identity(self) -> Identity:
        """What is fired at most once."""
        return self.kind, self.subject, self.key, self.generation


Fire = Callable[[Transaction, Sequence[Deadline], datetime], Collection[Deadline]]
"""Decides what is due, under the log's lock and with the database's time; gives back what must wait."""


class NotAskedError(Exception):
    """A Fire gave back a deadline that it was not asked about."""

    safe_message = True


class Deadlines:
    """What is due when; every writing call is made under the log's lock, which the caller holds."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def arm(self, connection: Conn, deadlines: Sequence[Deadline]) -> None:
        """Arm them; a higher generation replaces what is there, the same or a lower one does nothing."""
        newest: dict[tuple[str, UUID, str], Deadline] = {}
        for deadline in deadlines:
            place = deadline.kind, deadline.subject, deadline.key
            if place not in newest or deadline.generation > newest[place].generation:
                newest[place] = deadline
        if not newest:
            return
        arming = list(newest.values())
        connection.execute(
            f"INSERT INTO deadlines ({_COLUMNS}, ask_at)"
            f" SELECT {_COLUMNS}, due_at FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::int[],"
            f" %s::timestamptz[], %s::jsonb[]) AS new ({_COLUMNS}) ORDER BY kind, subject, key"
            " ON CONFLICT (kind, subject, key) DO UPDATE SET generation = excluded.generation,"
            " due_at = excluded.due_at, data = excluded.data, state = 'armed', ask_at = excluded.ask_at,"
            " deferrals = 0, tries = 0, cause = NULL WHERE deadlines.generation < excluded.generation",
            (
                *_identities(arming),
                [deadline.due_at for deadline in arming],
                [json.dumps(deadline.data) for deadline in arming],
            ),
        )
        earliest = min(deadline.due_at for deadline in arming)
        for wake in self._log.on_armed:
            wake(earliest)

    def cancel(self, connection: Conn, kind: str, subject: UUID, keys: Collection[str] | None = None) -> int:
        """Disarm those of the subject, or only those keys; how many were still to fire."""
        return connection.execute(
            "UPDATE deadlines SET state = 'cancelled' WHERE kind = %s AND subject = %s"
            " AND state IN ('armed', 'failed') AND (%s::text[] IS NULL OR key = ANY(%s::text[]))",
            (kind, subject, None if keys is None else list(keys), None if keys is None else list(keys)),
        ).rowcount

    def pending(self, connection: Conn, subject: UUID) -> list[Deadline]:
        """What is armed for the subject, the next one first."""
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM deadlines WHERE subject = %s AND state = 'armed'"
            " ORDER BY due_at, kind, key",
            (subject,),
        ).fetchall()
        return [Deadline(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class FailedDeadline:
    """A deadline that failed by itself for as often as it is tried, with the last cause."""

    deadline: Deadline
    cause: str


def failed_deadlines(database: Database) -> list[FailedDeadline]:
    """What failed for good, the oldest first."""
    with database.transaction() as connection:
        rows = connection.execute(
            f"SELECT {_COLUMNS}, cause FROM deadlines WHERE state = 'failed' ORDER BY due_at, subject, key"
        ).fetchall()
    return [FailedDeadline(Deadline(*row), cause) for *row, cause in rows]


def retry_deadlines(database: Database, event_log: EventLog, subject: UUID | None = None) -> int:
    """Arm anew what failed, of one subject or all; how many."""
    with database.transaction() as connection:
        event_log.lock(connection)
        return connection.execute(
            "UPDATE deadlines SET state = 'armed', tries = 0, ask_at = due_at"
            " WHERE state = 'failed' AND (%(subject)s::uuid IS NULL OR subject = %(subject)s)",
            {"subject": subject},
        ).rowcount


def claim(connection: Conn, kind: str, now: datetime) -> list[Deadline]:
    """What is due by now of one kind, the longest waiting first; without a lock these are candidates."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM deadlines WHERE kind = %s AND state = 'armed' AND ask_at <= %s"
        " ORDER BY ask_at, subject, key LIMIT %s",
        (kind, now, MAX_CLAIMED),
    ).fetchall()
    return [Deadline(*row) for row in rows]


def still_due(connection: Conn, candidates: Sequence[Deadline], now: datetime) -> list[Deadline]:
    """Those that nobody fired, cancelled, replaced or deferred meanwhile; under the log's lock."""
    rows = connection.execute(
        "SELECT kind, subject, key, generation FROM deadlines WHERE state = 'armed' AND ask_at <= %s"
        " AND (kind, subject, key, generation)"
        " IN (SELECT * FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::int[]))",
        (now, *_identities(candidates)),
    ).fetchall()
    due = set(rows)
    return [deadline for deadline in candidates if deadline.identity in due]


def record_fired(connection: Conn, fired: Sequence[Deadline], now: datetime) -> None:
    """Fired for ever: a second record of the same generation is refused by the table's key."""
    if not fired:
        return
    identities = _identities(fired)
    connection.execute(
        "INSERT INTO fired_deadlines (kind, subject, key, generation, due_at, fired_at)"
        " SELECT kind, subject, key, generation, due_at, %s FROM unnest(%s::text[], %s::uuid[], %s::text[],"
        " %s::int[], %s::timestamptz[]) AS new (kind, subject, key, generation, due_at)",
        (now, *identities, [deadline.due_at for deadline in fired]),
    )
    # One that Fire itself armed anew has another generation by now, and one that it cancelled another state.
    connection.execute(
        "UPDATE deadlines SET state = 'fired' FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::int[])"
        " AS new (kind, subject, key, generation) WHERE deadlines.kind = new.kind"
        " AND deadlines.subject = new.subject AND deadlines.key = new.key"
        " AND deadlines.generation = new.generation AND state = 'armed'",
        identities,
    )


def record_deferred(connection: Conn, deferred: Sequence[Deadline], now: datetime) -> None:
    """Still due; asked again soon, behind those that were not asked yet."""
    if not deferred:
        return
    connection.execute(
        "UPDATE deadlines SET deferrals = deferrals + 1,"
        " ask_at = %s + least(%s * power(2, least(greatest(deferrals - 2, 0), 10)), %s)"
        " FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::int[])"
        " AS new (kind, subject, key, generation) WHERE deadlines.kind = new.kind"
        " AND deadlines.subject = new.subject AND deadlines.key = new.key"
        " AND deadlines.generation = new.generation AND state = 'armed'",
        (now, _FIRST_WAIT, _LONGEST_WAIT, *_identities(deferred)),
    )


def record_try(connection: Conn, failing: Deadline, cause: str) -> bool:
    """Count a try that the deadline itself made fail; whether it was the last one."""
    row = connection.execute(
        "UPDATE deadlines SET tries = tries + 1, cause = %s,"
        " ask_at = clock_timestamp() + %s * power(2, tries),"
        " state = CASE WHEN tries + 1 >= %s THEN 'failed' ELSE state END"
        " WHERE kind = %s AND subject = %s AND key = %s AND generation = %s AND state = 'armed'"
        " RETURNING state",
        (cause, _FIRST_WAIT, TRIES, *failing.identity),
    ).fetchone()
    return row == ("failed",)


def _identities(
    deadlines: Sequence[Deadline],
) -> tuple[list[str], list[UUID], list[str], list[int]]:
    return (
        [deadline.kind for deadline in deadlines],
        [deadline.subject for deadline in deadlines],
        [deadline.key for deadline in deadlines],
        [deadline.generation for deadline in deadlines],
    )


class _Firing:
    """One loop: looks for what is due without a lock, and decides it under the log's lock."""

    def __init__(self, database: Database, event_log: EventLog, fires: Mapping[str, Fire]) -> None:
        self._database = database
        self._log = event_log
        self._fires = dict(fires)
        self._soon = asyncio.Event()
        self._looked: tuple[datetime, float] | None = None
        self._overviewed = float("-inf")

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Fire until stopped; errors of the surroundings are retried without limit."""
        running = asyncio.get_running_loop()

        def told(due_at: datetime) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop may close meanwhile
                running.call_soon_threadsafe(self._plan, due_at)

        self._log.on_armed.append(told)
        delay = _BACKOFF_SECONDS[0]
        try:
            while not stop.is_set():
                self._soon.clear()
                try:
                    seconds = await asyncio.to_thread(self._turn)
                except Exception as error:
                    if not is_surroundings(error):
                        raise
                    beat.red(f"deadlines: {cause_of(error)}")
                    log.warning("deadlines are not fired", cause=cause_of(error))
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, _BACKOFF_SECONDS[1])
                    continue
                beat.progress()
                delay = _BACKOFF_SECONDS[0]
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._soon.wait(), seconds)
        finally:
            self._log.on_armed.remove(told)

    def _plan(self, due_at: datetime) -> None:
        """Look again when it is due, where that comes before the next look."""
        if self._looked is None:
            return
        now, at = self._looked
        seconds = (due_at - now).total_seconds() - (time.monotonic() - at)
        if seconds < POLL_SECONDS:
            # Whoever armed it has yet to commit.
            asyncio.get_running_loop().call_later(max(seconds, _COMMIT_SECONDS), self._soon.set)

    def _turn(self) -> float:
        """Fire one batch of each kind that is due; in how many seconds to look again."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT clock_timestamp(), kind, (SELECT min(ask_at) FROM deadlines"
                " WHERE deadlines.kind = known.kind AND state = 'armed')"
                " FROM unnest(%s::text[]) AS known (kind)",
                (list(self._fires),),
            ).fetchall()
            candidates = {
                kind: claim(connection, kind, now)
                for now, kind, ask_at in rows
                if ask_at is not None and ask_at <= now
            }
            self._overview(connection)
        for due in candidates.values():
            self._fire(due)
        if candidates or not rows:
            return 0.0 if candidates else POLL_SECONDS
        now = rows[0][0]
        self._looked = now, time.monotonic()
        waits: list[float] = [(ask_at - now).total_seconds() for _, _, ask_at in rows if ask_at is not None]
        return max(0.0, min([POLL_SECONDS, *waits]))

    def _fire(self, candidates: list[Deadline]) -> None:
        """Fire them in one transaction; where one fails by itself, halve down to it and count the try."""
        if not candidates:
            return
        try:
            self._decide(candidates)
        except FatalLoopError:
            raise
        except Exception as error:
            if is_surroundings(error):
                raise
            if len(candidates) == 1:
                self._failed(candidates[0], cause_of(error))
                return
            log.warning("deadlines failed", kind=candidates[0].kind, cause=cause_of(error))
        else:
            return
        half = len(candidates) // 2
        self._fire(candidates[:half])
        self._fire(candidates[half:])

    def _decide(self, candidates: list[Deadline]) -> None:
        kind = candidates[0].kind
        with self._database.transaction() as connection:
            self._log.lock(connection)
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            assert row is not None  # noqa: S101 -- it is one row
            now: datetime = row[0]
            due = still_due(connection, candidates, now)
            if not due:
                return
            transaction = Transaction(connection)
            waiting = {deadline.identity for deadline in self._fires[kind](transaction, due, now)}
            if not waiting <= {deadline.identity for deadline in due}:
                raise NotAskedError("a deadline was given back that was not asked about")
            fired = [deadline for deadline in due if deadline.identity not in waiting]
            record_fired(connection, fired, now)
            record_deferred(connection, [one for one in due if one.identity in waiting], now)
        for follow in transaction.after_commit:
            follow()
        if fired:
            self._log.ring()
        metrics.DEADLINES.labels(kind, "fired").inc(len(fired))
        metrics.DEADLINES.labels(kind, "deferred").inc(len(waiting))
        for deadline in fired:
            metrics.DEADLINE_SECONDS.labels(kind).observe((now - deadline.due_at).total_seconds())

    def _failed(self, deadline: Deadline, cause: str) -> None:
        with self._database.transaction() as connection:
            last = record_try(connection, deadline, cause)
        metrics.DEADLINES.labels(deadline.kind, "failed" if last else "tried").inc()
        tell = log.error if last else log.warning
        tell(
            "a deadline failed for good" if last else "a deadline failed",
            kind=deadline.kind,
            subject=str(deadline.subject),
            key=deadline.key,
            generation=deadline.generation,
            cause=cause,
        )

    def _overview(self, connection: Conn) -> None:
        if time.monotonic() - self._overviewed < OVERVIEW_SECONDS:
            return
        self._overviewed = time.monotonic()
        rows = connection.execute(
            "SELECT kind, (SELECT count(*) FROM deadlines WHERE deadlines.kind = known.kind"
            " AND state = 'failed'), coalesce((SELECT extract(epoch FROM clock_timestamp() - min(due_at))"
            " FROM deadlines WHERE deadlines.kind = known.kind AND state = 'armed'"
            " AND ask_at < now() + %s), 0) FROM unnest(%s::text[]) AS known (kind)",
            (_LONGEST_WAIT, list(self._fires)),
        ).fetchall()
        for kind, failed, overdue in rows:
            metrics.DEADLINES_FAILED.labels(kind).set(failed)
            metrics.DEADLINES_OVERDUE.labels(kind).set(max(0.0, float(overdue)))


def fire_deadlines(database: Database, event_log: EventLog, fires: Mapping[str, Fire]) -> Run:
    """A loop that fires what is due of these kinds; several replicas work side by side."""
    return _Firing(database, event_log, fires).run
