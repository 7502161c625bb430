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
from deskline_chassis.personal_data import KeyRing, SealError, learn_keys, wrapped_of
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


class _Patience:
    """The waiting between tries, once for all records of a batch that fail, so that many cost no more."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._waited = 0

    def wait(self, attempt: int) -> None:
        """Before the next try; a record that fails after another one did has waited with it."""
        if attempt >= self._waited:
            self._waited = attempt + 1
            self._sleep(BACKOFF_SECONDS[attempt])


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
        self._outdated: set[Place] = set()

    def assigned(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offsets to begin at; what was known of the partitions is forgotten."""
        wanted = list(places)
        with self._database.transaction() as connection:
            rows = inbox.lock_positions(connection, self.spec.name, wanted)
        self._written = {}
        self._tell_outdated(self._outdated & set(wanted))
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
        return self._halve(batch, _Patience(self._sleep))

    def _halve(self, batch: Batch, patience: "_Patience") -> Outcome:
        try:
            return self._attempt(batch, frozenset())
        except Exception as error:
            self._written = {}
            if is_surroundings(error):
                raise SurroundingsError(cause_of(error)) from error
            log.warning("a batch failed", reader=self.spec.name, cause=cause_of(error))
        records = [record for records in batch.values() for record in records]
        if len(records) == 1:
            return self._persist(batch, frozenset(), patience)
        half = len(records) // 2
        outcome = self._halve(_by_place(records[:half]), patience)
        outcome.merge(self._halve(_by_place(records[half:]), patience))
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
        patience = _Patience(self._sleep)
        for stream in sorted(streams):
            self._persist({}, frozenset({stream}), patience)

    def _persist(self, batch: Batch, woken: frozenset[StreamId], patience: "_Patience") -> Outcome:
        # The last try runs each record by itself and parks the one at fault.
        for attempt in range(TRIES):
            try:
                return self._attempt(batch, woken, isolate=attempt == TRIES - 1)
            except Exception as error:
                self._written = {}
                if is_surroundings(error):
                    raise SurroundingsError(cause_of(error)) from error
                cause = cause_of(error)
                if attempt < TRIES - 1:
                    patience.wait(attempt)
                elif not batch:
                    raise
        # Not the handler but the harness itself stumbles over this record; it must not stop the others.
        return self._attempt(batch, frozenset(), condemned=cause)

    def redrive(self, stream: StreamId) -> int:
        """Apply a parked stream's records in order, all or nothing; how many. Raises RedriveRefusedError."""
        try:
            with self._database.transaction() as connection:
                sorting = self._sort(connection, [], {stream}, redriven=True)
                if sorting.parked:
                    raise RedriveRefusedError(str(sorting.parked[0].reason))
                transaction = Transaction(connection)
                if sorting.applied:
                    self.spec.apply(transaction, sorting.applied)
                sorting.write(connection, self.spec.name)
        except (RedriveRefusedError, UnreadableError, ValidationError) as error:
            raise RedriveRefusedError(cause_of(error)) from error
        except Exception as error:
            if is_surroundings(error):
                raise SurroundingsError(cause_of(error)) from error
            raise RedriveRefusedError(cause_of(error)) from error
        self._after(transaction, sorting)
        return len(sorting.applied)

    def _attempt(
        self,
        batch: Batch,
        woken: frozenset[StreamId],
        *,
        isolate: bool = False,
        condemned: str | None = None,
    ) -> Outcome:
        outcome = Outcome()
        with self._database.transaction() as connection:
            positions = inbox.lock_positions(connection, self.spec.name, sorted(batch)) if batch else {}
            records = self._fence(batch, positions, outcome)
            events, loose = self._envelopes(records, condemned)
            learned = set() if condemned else self._learn(connection, records, loose)
            streams = set(woken)
            if learned:
                streams |= inbox.streams_to_wake(connection, self.spec.name)
            sorting = self._sort(connection, events, streams)
            transaction = Transaction(connection)
            if isolate:
                self._one_by_one(transaction, sorting)
            elif sorting.applied:
                self.spec.apply(transaction, sorting.applied)
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

    def _one_by_one(self, transaction: Transaction, sorting: Sorted) -> None:
        for received in list(sorting.applied):
            if sorting.is_parked(received):
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
            ours = [record for record in records if self._is_ours(record)]
            self._note_generation(place, ours, row)
            highest = max((record.epoch for record in ours), default=0)
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

    def _is_ours(self, record: Record) -> bool:
        # What somebody else wrote into an owner's topic tells nothing of the owner's epochs.
        owner = self._owner_of.get(record.topic)
        return owner is None or record.is_from(owner)

    def _note_generation(self, place: Place, records: list[Record], row: Position) -> None:
        if not records:
            return
        generation = max(record.generation for record in records)
        if row.epoch == 0:
            # Nothing was read of this partition yet: there is nothing older to be rebuilt.
            row.generation = max(generation, row.generation)
        if generation > row.generation:
            # The row keeps the generation that was read, so that a new start of the process tells it again;
            # a rebuild writes the new one, which the partition's last record, read again, shows here.
            self._tell_outdated(self._outdated | {place})
        else:
            self._tell_outdated(self._outdated - {place})

    def _tell_outdated(self, places: set[Place]) -> None:
        before, self._outdated = bool(self._outdated), places
        if before == bool(places):
            return
        metrics.READER_REBUILD_NEEDED.labels(self.spec.name).set(bool(places))
        if places:
            log.error("an owner's database was restored: rebuild this reader", reader=self.spec.name)
        else:
            log.info("this reader was rebuilt", reader=self.spec.name)

    def _envelopes(
        self, records: list[Record], condemned: str | None
    ) -> tuple[list[Incoming], list[tuple[Record, str]]]:
        readable: list[Incoming] = []
        loose: list[tuple[Record, str]] = []
        for record in records:
            owner = self._owner_of.get(record.topic)
            if owner is None:
                if condemned:
                    loose.append((record, condemned))
                continue
            try:
                envelope = read_envelope(record, owner)
            except UnreadableError as error:
                loose.append((record, cause_of(error)))
            else:
                stream = owner, envelope.subject
                readable.append(Incoming(stream, envelope.sequence, record, envelope, condemned=condemned))
        return readable, loose

    def _learn(self, connection: Conn, records: list[Record], loose: list[tuple[Record, str]]) -> set[UUID]:
        learned: list[PersonKeys] = []
        for record in records:
            if record.topic in self._keys_topics:
                try:
                    keys = PersonKeys.model_validate_json(record.value or b"")
                    wrapped_of(keys)
                except (ValidationError, SealError) as error:
                    loose.append((record, cause_of(error)))
                else:
                    learned.append(keys)
        learn_keys(connection, learned)
        return {keys.subject for keys in learned}

    def _sort(
        self, connection: Conn, events: list[Incoming], woken: set[StreamId], *, redriven: bool = False
    ) -> Sorted:
        return sort_streams(connection, self.spec, self._keys, events, woken, redriven=redriven)


def _by_place(records: list[Record]) -> Batch:
    batch: dict[Place, list[Any]] = {}
    for record in records:
        batch.setdefault(record.place, []).append(record)
    return batch
