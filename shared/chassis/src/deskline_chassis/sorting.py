"""Sorting: which records of a batch are next in their streams, which are repeats, wait or are parked."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from uuid import UUID

from opentelemetry.trace import Span

from deskline_chassis import inbox
from deskline_chassis.decoding import (
    Received,
    Record,
    StreamId,
    UnreadableError,
    cause_of,
    parse,
    persons_of,
    read_envelope,
    to_fact,
)
from deskline_chassis.event_log import Cause
from deskline_chassis.inbox import Kept, StreamRow
from deskline_chassis.personal_data import KeyRing, Keys, MissingKeyError, SealError
from deskline_chassis.postgres import Conn
from deskline_chassis.telemetry import start_child, traceparent_of
from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope

FOLLOWS = "follows a parked record"


class Reading(Protocol):
    """What sorting needs to know of a reader."""

    @property
    def name(self) -> str:
        """Its name, as its rows have it."""

    @property
    def types(self) -> frozenset[str]:
        """The wire types that it has a use for."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record with its place in a stream, from the topic or kept from earlier."""

    stream: StreamId
    sequence: int
    record: Record
    envelope: Envelope
    origin: Literal["topic", "waiting", "parked"] = "topic"
    condemned: str | None = None


@dataclass(slots=True)
class Sorted:
    """What becomes of each record; nothing is written before `write`."""

    streams: dict[StreamId, StreamRow]
    applied: list[Received] = field(default_factory=list)
    waiting: list[Kept] = field(default_factory=list)
    parked: list[Kept] = field(default_factory=list)
    left: dict[str, list[tuple[StreamId, int]]] = field(default_factory=lambda: {"waiting": [], "parked": []})
    repeated: int = 0
    ignored: int = 0
    records: dict[tuple[StreamId, int], Record] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How many records came to each end."""
        return {
            "applied": len(self.applied),
            "repeated": self.repeated,
            "waiting": len(self.waiting),
            "parked": len(self.parked),
            "ignored": self.ignored,
        }

    def is_parked(self, received: Received) -> bool:
        """Whether the record's stream was parked while this batch was applied."""
        return self.streams[_stream(received)].parked

    def park_from(self, received: Received, cause: str) -> None:
        """Park a record that failed, and everything of its stream after it."""
        stream = _stream(received)
        row = self.streams[stream]
        following = [
            r
            for r in self.applied
            if _stream(r) == stream and r.envelope.sequence >= received.envelope.sequence
        ]
        row.parked, row.sequence = True, received.envelope.sequence - 1
        for late in following:
            sequence = late.envelope.sequence
            reason = cause if late is received else FOLLOWS
            self.parked.append(Kept(stream, sequence, self.records[stream, sequence], reason))
            self.applied.remove(late)

    def write(self, connection: Conn, reader: str) -> None:
        """Keep it all, in the transaction of the effects."""
        inbox.remove_kept(connection, "waiting_records", reader, self.left["waiting"])
        inbox.remove_kept(connection, "parked_records", reader, self.left["parked"])
        inbox.keep_waiting(connection, reader, self.waiting)
        inbox.keep_parked(connection, reader, self.parked)
        waiting = {kept.stream for kept in self.waiting}
        for stream, row in self.streams.items():
            row.waiting = stream in waiting
        inbox.write_streams(connection, reader, self.streams)


def _stream(received: Received) -> StreamId:
    return received.envelope.owner, received.envelope.subject


def sort_streams(
    connection: Conn,
    reader: Reading,
    keys: KeyRing,
    arrived: Sequence[Incoming],
    woken: Collection[StreamId],
    *,
    redriven: bool = False,
) -> Sorted:
    """Lock the streams and sort what arrived together with what waited (and, redriven, what was parked)."""
    rows = inbox.lock_streams(connection, reader.name, {incoming.stream for incoming in arrived} | set(woken))
    kept = _kept(connection, reader.name, rows, redriven=redriven)
    if redriven:
        for row in rows.values():
            row.parked = False
    by_stream: dict[StreamId, dict[int, Incoming]] = {stream: {} for stream in rows}
    sorting = Sorted(rows)
    for incoming in [*kept, *arrived]:
        sequences = by_stream[incoming.stream]
        if incoming.origin == "parked":
            # A redrive applies them all, or lets them wait, or is refused as a whole.
            sorting.left["parked"].append((incoming.stream, incoming.sequence))
        if incoming.sequence in sequences or incoming.sequence <= rows[incoming.stream].sequence:
            sorting.repeated += 1
            if incoming.origin == "waiting":
                sorting.left["waiting"].append((incoming.stream, incoming.sequence))
        else:
            sequences[incoming.sequence] = incoming
    opened = _Opened(reader, connection, keys, [i for s in by_stream.values() for i in s.values()])
    for stream, sequences in by_stream.items():
        for sequence in sorted(sequences):
            _place(sorting, rows[stream], sequences[sequence], opened)
    return sorting


def _kept(
    connection: Conn, reader: str, rows: dict[StreamId, StreamRow], *, redriven: bool
) -> list[Incoming]:
    waiting = [stream for stream, row in rows.items() if row.waiting]
    parked = [stream for stream, row in rows.items() if row.parked] if redriven else []
    found: list[Incoming] = []
    for origin, table, streams in (
        ("waiting", "waiting_records", waiting),
        ("parked", "parked_records", parked),
    ):
        for kept in inbox.read_kept(connection, table, reader, streams):
            envelope = read_envelope(kept.record, kept.stream[0])
            found.append(Incoming(kept.stream, kept.sequence, kept.record, envelope, origin))  # type: ignore[arg-type]
    return found


class _Opened:
    """The data of records, parsed, with the keys that are known of the persons in it."""

    def __init__(
        self, reader: "Reading", connection: Conn, ring: KeyRing, incoming: Sequence[Incoming]
    ) -> None:
        self._reader = reader.name
        self._data: dict[int, dict[str, Any] | UnreadableError] = {}
        persons: set[UUID] = set()
        for one in incoming:
            kind = one.envelope.type
            if one.condemned is not None:
                self._data[id(one)] = UnreadableError(one.condemned)
                continue
            # What this reader has no use for needs no key and can't fail.
            if (kind in CATALOG and kind not in reader.types) or (
                kind not in CATALOG and one.envelope.ignorable
            ):
                continue
            try:
                data = parse(one.envelope, one.record)
                persons |= persons_of(one.envelope, data)
            except UnreadableError as error:
                self._data[id(one)] = error
            else:
                self._data[id(one)] = data
        self._keys: Keys = ring.load(connection, persons)

    def received(self, incoming: Incoming, spans: list[Span]) -> Received | None:
        """The event, or None where it may be passed over; raises what `to_fact` raises."""
        data = self._data.get(id(incoming))
        if data is None:
            return None
        if isinstance(data, UnreadableError):
            raise data
        envelope = incoming.envelope
        fact = to_fact(envelope, data, self._keys)
        traceparent = envelope.traceparent
        span = start_child(
            f"{self._reader} apply", traceparent, type=envelope.type, stream=str(envelope.subject)
        )
        if span is not None:
            spans.append(span)
            traceparent = traceparent_of(span)
        cause = Cause(envelope.correlation_id, envelope.id, traceparent)
        return Received(envelope, fact, cause, incoming.record.place)


def _place(sorting: Sorted, row: StreamRow, incoming: Incoming, opened: _Opened) -> None:
    stream, sequence = incoming.stream, incoming.sequence
    missing: UUID | None = None
    if row.parked:
        sorting.parked.append(Kept(stream, sequence, incoming.record, FOLLOWS))
    elif sequence > row.sequence + 1:
        sorting.waiting.append(Kept(stream, sequence, incoming.record))
        return
    else:
        try:
            received = opened.received(incoming, sorting.spans)
        except MissingKeyError as error:
            missing = error.subject
        except (UnreadableError, SealError) as error:
            row.parked = True
            cause = incoming.condemned or cause_of(error)
            sorting.parked.append(Kept(stream, sequence, incoming.record, cause))
        else:
            row.sequence = sequence
            sorting.records[stream, sequence] = incoming.record
            if received is None:
                sorting.ignored += 1
            else:
                sorting.applied.append(received)
    if missing is not None:
        sorting.waiting.append(Kept(stream, sequence, incoming.record, missing))
    elif incoming.origin == "waiting":
        sorting.left["waiting"].append((stream, sequence))
