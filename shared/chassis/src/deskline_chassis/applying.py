"""Applying: a batch of records becomes effects, outgoing events and positions in one transaction.

Per stream the next sequence is applied, lower ones are repeats, higher ones wait; what cannot be
applied is parked and its stream after it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic import ValidationError

from deskline_chassis import inbox, metrics
from deskline_chassis.decoding import (
    Place,
    Received,
    Record,
    StreamId,
    UnreadableError,
    cause_of,
    read_envelope,
)
from deskline_chassis.inbox import Position
from deskline_chassis.personal_data import KeyRing, learn_keys
from deskline_chassis.postgres import Conn, Database, is_surroundings
from deskline_chassis.sorting import Incoming, Sorted, sort_streams
from deskline_events.keys import PersonKeys

log = structlog.get_logger(__name__)

TRIES: Final = 5
BACKOFF_SECONDS: Final = (0.05, 0.2, 0.6, 1.5)


class SurroundingsError(Exception):
    """The database or something else around is in trouble: nothing is applied, all of it is tried again."""

    safe_message = True


class RedriveRefusedError(Exception):
    """A parked stream still cannot be applied; the message says why."""

    safe_message = True


@dataclass(slots=True)
class Transaction:
    """What a handler works in: the connection, and what is to happen once it is committed."""

    connection: Conn
    after_commit: list[Callable[[], None]] = field(default_factory=list)


Apply = Callable[[Transaction, Sequence[Received]], None]


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """A reader: its name, whose events and keys it reads, the types it has a use for, and what it does."""

    name: str
    owners: tuple[str, ...]
    key_owners: tuple[str, ...]
    types: frozenset[str]
    apply: Apply


@dataclass(slots=True)
class Outcome:
    """What the consumer is to do next: commit these offsets, seek there, or notice that it is fenced."""

    committed: dict[Place, int] = field(default_factory=dict)
    seeks: dict[Place, int] = field(default_factory=dict)
    fenced: set[Place] = field(default_factory=set)

    def merge(self, other: "Outcome") -> None:
        """Add what came of the next part of a batch."""
        self.committed |= other.committed
        self.seeks |= other.seeks
        self.fenced |= other.fenced


Batch = dict[Place, list[Record]]


class Applier:
    """Applies batches for one reader; synchronous, one caller at a time."""

    def __init__(
        self,
        spec: ReaderSpec,
        database: Database,
        keys: KeyRing,
        events_topics: Mapping[str, str],
        keys_topics: frozenset[str],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spec = spec
        self._database = database
        self._keys = keys
        self._owner_of = events_topics
        self._keys_topics = keys_topics
        self._sleep = sleep
        self._written: dict[Place, Position] = {}

    def assigned(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offsets to begin at; what was known of the partitions is forgotten."""
        wanted = list(places)
        with self._database.transaction() as connection:
            rows = inbox.lock_positions(connection, self.spec.name, wanted)
        self._written = {}
        return {place: rows[place].next_offset for place in wanted}

    def reset(self, place: Place, next_offset: int) -> None:
        """Begin a partition elsewhere: its end lies below its position, or its start above it."""
        with self._database.transaction() as connection:
            rows = inbox.lock_positions(connection, self.spec.name, [place])
            rows[place].next_offset = next_offset
            inbox.write_positions(connection, self.spec.name, rows)
        self._written.pop(place, None)

    def apply(self, batch: Batch) -> Outcome:
        """Apply a batch; a part that fails by itself is halved down to the record, tried, and parked.

        Raises SurroundingsError, with nothing of the failing part applied.
        """
        try:
            return self._attempt(batch, frozenset())
        except Exception as error:
            self._written = {}
            if is_surroundings(error):
                raise SurroundingsError(cause_of(error)) from error
            log.warning("a batch failed", reader=self.spec.name, cause=cause_of(error))
        records = [record for records in batch.values() for record in records]
        if len(records) == 1:
            return self._persist(batch, frozenset())
        half = len(records) // 2
        outcome = self.apply(_by_place(records[:half]))
        outcome.merge(self.apply(_by_place(records[half:])))
        return outcome

    def wake(self) -> None:
        """Apply what waited for a key that is known by now; raises SurroundingsError."""
        try:
            with self._database.transaction() as connection:
                streams = inbox.streams_to_wake(connection, self.spec.name)
        except Exception as error:
            if is_surroundings(error):
                raise SurroundingsError(cause_of(error)) from error
            raise
        for stream in sorted(streams):
            self._persist({}, frozenset({stream}))

    def _persist(self, batch: Batch, woken: frozenset[StreamId]) -> Outcome:
        # The last try runs each record by itself and parks the one at fault.
        for attempt in range(TRIES):
            try:
                return self._attempt(batch, woken, isolate=attempt == TRIES - 1)
            except Exception as error:
                self._written = {}
                if is_surroundings(error):
                    raise SurroundingsError(cause_of(error)) from error
                if attempt == TRIES - 1:
                    raise
                self._sleep(BACKOFF_SECONDS[attempt])
        raise AssertionError("unreachable")

    def redrive(self, stream: StreamId) -> int:
        """Apply a parked stream's records in order, all or nothing; how many. Raises RedriveRefusedError."""
        try:
            with self._database.transaction() as connection:
                sorting = self._sort(connection, [], {stream}, redriven=True)
                if sorting.parked:
                    raise RedriveRefusedError(str(sorting.parked[0].reason))
                transaction = Transaction(connection)
                self.spec.apply(transaction, self._wanted(sorting))
                sorting.write(connection, self.spec.name)
        except (RedriveRefusedError, UnreadableError, ValidationError) as error:
            raise RedriveRefusedError(cause_of(error)) from error
        except Exception as error:
            if is_surroundings(error):
                raise SurroundingsError(cause_of(error)) from error
            raise RedriveRefusedError(cause_of(error)) from error
        self._after(transaction, sorting)
        return len(sorting.applied)

    def _attempt(self, batch: Batch, woken: frozenset[StreamId], *, isolate: bool = False) -> Outcome:
        outcome = Outcome()
        with self._database.transaction() as connection:
            positions = inbox.lock_positions(connection, self.spec.name, sorted(batch)) if batch else {}
            records = self._fence(batch, positions, outcome)
            events, loose = self._envelopes(records)
            learned = self._learn(connection, records, loose)
            streams = set(woken)
            if learned:
                streams |= inbox.streams_to_wake(connection, self.spec.name)
            sorting = self._sort(connection, events, streams)
            transaction = Transaction(connection)
            if isolate:
                self._one_by_one(transaction, sorting)
            elif wanted := self._wanted(sorting):
                self.spec.apply(transaction, wanted)
            sorting.write(connection, self.spec.name)
            inbox.park_loose(connection, self.spec.name, loose)
            if positions:
                inbox.write_positions(connection, self.spec.name, positions)
        for place, row in positions.items():
            self._written[place] = row
            if place not in outcome.seeks:
                outcome.committed[place] = row.next_offset
        metrics.READER_RECORDS.labels(self.spec.name, "parked").inc(len(loose))
        self._after(transaction, sorting)
        return outcome

    def _after(self, transaction: Transaction, sorting: Sorted) -> None:
        for follow in transaction.after_commit:
            follow()
        for span in sorting.spans:
            span.end()
        for name, count in sorting.counts().items():
            metrics.READER_RECORDS.labels(self.spec.name, name).inc(count)
        for kept in sorting.parked:
            log.error(
                "record parked",
                reader=self.spec.name,
                owner=kept.stream[0],
                stream=str(kept.stream[1]),
                sequence=kept.sequence,
                cause=kept.reason,
            )

    def _wanted(self, sorting: Sorted) -> list[Received]:
        return [received for received in sorting.applied if received.envelope.type in self.spec.types]

    def _one_by_one(self, transaction: Transaction, sorting: Sorted) -> None:
        for received in list(sorting.applied):
            if received.envelope.type not in self.spec.types or sorting.is_parked(received):
                continue
            hooks = len(transaction.after_commit)
            try:
                with transaction.connection.transaction():
                    self.spec.apply(transaction, [received])
            except Exception as error:
                if is_surroundings(error):
                    raise
                del transaction.after_commit[hooks:]
                sorting.park_from(received, cause_of(error))

    def _fence(self, batch: Batch, positions: dict[Place, Position], outcome: Outcome) -> list[Record]:
        """Only what follows the position is let through; a higher epoch begins its partition anew."""
        passed: list[Record] = []
        for place in sorted(batch):
            records, row = batch[place], positions[place]
            written = self._written.get(place)
            if written is not None and (written.epoch, written.next_offset) != (row.epoch, row.next_offset):
                outcome.fenced.add(place)
                outcome.seeks[place] = row.next_offset
                continue
            self._note_generation(records, row)
            highest = max(record.epoch for record in records)
            if highest > row.epoch:
                # Offsets of the older epoch say nothing any more; sequences drop what is known. Where
                # nothing was applied yet, or it began here anyway, there is nothing to go back for.
                row.epoch = highest
                if row.next_offset > 0:
                    row.next_offset = 0
                    outcome.seeks[place] = 0
                    continue
            following = [record for record in records if record.offset >= row.next_offset]
            if not following:
                continue
            compacted = place[0] in self._keys_topics
            if following[0].offset != row.next_offset and not compacted:
                outcome.seeks[place] = row.next_offset
                continue
            row.next_offset = following[-1].offset + 1
            passed.extend(following)
        return passed

    def _note_generation(self, records: list[Record], row: Position) -> None:
        generation = max(record.generation for record in records)
        if generation > row.generation:
            row.generation = generation
            metrics.READER_REBUILD_NEEDED.labels(self.spec.name).set(1)
            log.error("an owner's database was restored: rebuild this reader", reader=self.spec.name)

    def _envelopes(self, records: list[Record]) -> tuple[list[Incoming], list[tuple[Record, str]]]:
        readable: list[Incoming] = []
        loose: list[tuple[Record, str]] = []
        for record in records:
            owner = self._owner_of.get(record.topic)
            if owner is None:
                continue
            try:
                envelope = read_envelope(record, owner)
            except UnreadableError as error:
                loose.append((record, cause_of(error)))
            else:
                readable.append(Incoming((owner, envelope.subject), envelope.sequence, record, envelope))
        return readable, loose

    def _learn(self, connection: Conn, records: list[Record], loose: list[tuple[Record, str]]) -> set[UUID]:
        learned: list[PersonKeys] = []
        for record in records:
            if record.topic in self._keys_topics:
                try:
                    learned.append(PersonKeys.model_validate_json(record.value or b""))
                except ValidationError as error:
                    loose.append((record, cause_of(error)))
        learn_keys(connection, learned)
        return {keys.subject for keys in learned}

    def _sort(
        self, connection: Conn, events: list[Incoming], woken: set[StreamId], *, redriven: bool = False
    ) -> Sorted:
        return sort_streams(connection, self.spec.name, self._keys, events, woken, redriven=redriven)


def _by_place(records: list[Record]) -> Batch:
    batch: dict[Place, list[Any]] = {}
    for record in records:
        batch.setdefault(record.place, []).append(record)
    return batch
