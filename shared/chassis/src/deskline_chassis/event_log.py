"""The event log: every fact of a service, appended in the order of commits and never changed.

It is the outbox that the relay reads and, in tickets, the event store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic_core import to_json

from deskline_chassis.personal_data import KeyRing, seal
from deskline_chassis.postgres import Conn
from deskline_events.envelope import event_id, source_of
from deskline_events.facts import MAX_DATA_BYTES, Fact
from deskline_events.personal import personal_paths

# One lock per database; every transaction that appends holds it from before its decision until its commit,
# so that ids are committed in their order and a reader of `id > last` misses nothing.
LOG_LOCK: Final = 0x4C4F47
NOTIFY_CHANNEL: Final = "deskline_log"


class EventTooLargeError(Exception):
    """An event's data is over 256 KiB; long text belongs in the object store."""

    safe_message = True


class SequenceTakenError(Exception):
    """Somebody else wrote that sequence of the stream: the decision rested on an older state."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a fact came to be: its story (correlation), the event or command before it, and its trace."""

    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact to append; `sequence` is given by an aggregate, or None where the log gives the next one."""

    stream: UUID
    fact: Fact
    cause: Cause
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """An event as it was stored."""

    id: UUID
    stream: UUID
    sequence: int
    time: datetime
    fact: Fact


class EventLog:
    """Appends to table `events`; the caller rings after its commit, so that the relay wakes."""

    def __init__(self, owner: str, keys: KeyRing, ring: Callable[[], None] = lambda: None) -> None:
        self.owner = owner
        self.source = source_of(owner)
        self.keys = keys
        self.ring = ring
        # Told the earliest moment by whoever arms deadlines in this process; loops that fire them listen.
        self.on_armed: list[Callable[[datetime], None]] = []

    def lock(self, connection: Conn) -> None:
        """Take the log's lock, in a statement of its own: the next statement then sees the last commit."""
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK,))

    def append(self, connection: Conn, events: Sequence[NewEvent]) -> list[Appended]:
        """Append facts under the log's lock, which the caller holds; personal fields are sealed here.

        Raises EventTooLargeError, SequenceTakenError, MissingKeyError, PersonErasedError.
        """
        if not events:
            return []
        head = connection.execute(
            "UPDATE log_head SET last_time = greatest(clock_timestamp(), last_time)"
            " RETURNING last_time, generation"
        ).fetchone()
        assert head is not None  # noqa: S101 -- the migration wrote the row
        time, generation = head
        sequences = self._sequences(connection, events)
        keys = self.keys.load(connection, _persons(events))
        appended: list[Appended] = []
        bodies: list[str] = []
        for event, sequence in zip(events, sequences, strict=True):
            identity = event_id(self.source, event.stream, sequence, generation)
            data = event.fact.model_dump(mode="json")
            seal(type(event.fact), data, identity, keys)
            body = to_json(data)
            if len(body) > MAX_DATA_BYTES:
                raise EventTooLargeError(f"{event.fact.TYPE} has {len(body)} bytes, over {MAX_DATA_BYTES}")
            bodies.append(body.decode())
            appended.append(Appended(identity, event.stream, sequence, time, event.fact))
        self._insert(connection, events, appended, bodies, generation)
        return appended

    def _sequences(self, connection: Conn, events: Sequence[NewEvent]) -> list[int]:
        counts: dict[UUID, int] = {}
        for event in events:
            if event.sequence is None:
                counts[event.stream] = counts.get(event.stream, 0) + 1
        following: dict[UUID, int] = {}
        if counts:
            rows = connection.execute(
                "INSERT INTO streams (subject, last) SELECT * FROM unnest(%s::uuid[], %s::bigint[])"
                " ON CONFLICT (subject) DO UPDATE SET last = streams.last + excluded.last"
                " RETURNING subject, last",
                (list(counts), list(counts.values())),
            ).fetchall()
            following = {subject: last - counts[subject] for subject, last in rows}
        given: list[int] = []
        for event in events:
            if event.sequence is not None:
                given.append(event.sequence)
                continue
            following[event.stream] += 1
            given.append(following[event.stream])
        return given

    @staticmethod
    def _insert(
        connection: Conn,
        events: Sequence[NewEvent],
        appended: Sequence[Appended],
        bodies: Sequence[str],
        generation: int,
    ) -> None:
        inserted = connection.execute(
            "INSERT INTO events (stream, sequence, type, time, generation, correlation_id, causation_id,"
            " traceparent, data)"
            " SELECT stream, sequence, type, %(time)s, %(generation)s, correlation, causation, trace,"
            " data::json"
            " FROM unnest(%(streams)s::uuid[], %(sequences)s::bigint[], %(types)s::text[],"
            " %(correlations)s::uuid[], %(causations)s::uuid[], %(traces)s::text[], %(bodies)b::text[])"
            " WITH ORDINALITY AS new (stream, sequence, type, correlation, causation, trace, data, place)"
            " ORDER BY place ON CONFLICT (stream, sequence) DO NOTHING",
            {
                "time": appended[0].time,
                "generation": generation,
                "streams": [event.stream for event in appended],
                "sequences": [event.sequence for event in appended],
                "types": [event.fact.TYPE for event in appended],
                "correlations": [event.cause.correlation_id for event in events],
                "causations": [event.cause.causation_id for event in events],
                "traces": [event.cause.traceparent for event in events],
                "bodies": list(bodies),
            },
        )
        if inserted.rowcount != len(appended):
            raise SequenceTakenError("a sequence of the stream was taken by another writer")


def _persons(events: Sequence[NewEvent]) -> set[UUID]:
    return {
        UUID(str(getattr(event.fact, of)))
        for event in events
        for _path, of in personal_paths(type(event.fact))
        if getattr(event.fact, of) is not None
    }
