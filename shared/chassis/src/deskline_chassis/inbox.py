"""The reader's rows: positions of partitions, last sequences of streams, what waits and what is parked."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

from deskline_chassis.decoding import Place, Record, StreamId, header_pairs, headers_from
from deskline_chassis.postgres import Conn, Row

_PARKED: Final = UUID("3c0c7b3e-94c4-5b0e-8a0c-0f6a5d2b9e11")


@dataclass(slots=True)
class Position:
    """How far a partition was applied."""

    epoch: int
    next_offset: int
    generation: int


@dataclass(slots=True)
class StreamRow:
    """How far a stream was applied; later records of a parked one follow it."""

    sequence: int
    parked: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A record with its place in a stream, as it waits or is parked."""

    stream: StreamId
    sequence: int
    record: Record
    reason: str | UUID | None = None


def lock_positions(connection: Conn, reader: str, places: Collection[Place]) -> dict[Place, Position]:
    """The rows of these partitions, locked in key order; new ones begin at 0."""
    found = _select_positions(connection, reader, places)
    missing = [place for place in places if place not in found]
    if missing:
        connection.execute(
            "INSERT INTO positions (reader, topic, partition)"
            " SELECT %s, topic, partition FROM unnest(%s::text[], %s::int[]) AS new (topic, partition)"
            " ORDER BY topic, partition ON CONFLICT DO NOTHING",
            (reader, [topic for topic, _ in missing], [partition for _, partition in missing]),
        )
        found |= _select_positions(connection, reader, missing)
    return found


def _select_positions(connection: Conn, reader: str, places: Collection[Place]) -> dict[Place, Position]:
    rows = connection.execute(
        "SELECT topic, partition, epoch, next_offset, generation FROM positions"
        " WHERE reader = %s AND (topic, partition) IN (SELECT * FROM unnest(%s::text[], %s::int[]))"
        " ORDER BY topic, partition FOR UPDATE",
        (reader, [topic for topic, _ in places], [partition for _, partition in places]),
    ).fetchall()
    return {
        (topic, part): Position(epoch, offset, generation) for topic, part, epoch, offset, generation in rows
    }


def write_positions(connection: Conn, reader: str, positions: dict[Place, Position]) -> None:
    """Keep how far these partitions were applied."""
    connection.execute(
        "UPDATE positions SET epoch = new.epoch, next_offset = new.next_offset, generation = new.generation"
        " FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::int[])"
        " AS new (topic, partition, epoch, next_offset, generation)"
        " WHERE reader = %s AND positions.topic = new.topic AND positions.partition = new.partition",
        (
            [topic for topic, _ in positions],
            [partition for _, partition in positions],
            [row.epoch for row in positions.values()],
            [row.next_offset for row in positions.values()],
            [row.generation for row in positions.values()],
            reader,
        ),
    )


def lock_streams(connection: Conn, reader: str, streams: Collection[StreamId]) -> dict[StreamId, StreamRow]:
    """The rows of these streams, locked in key order; new ones begin at 0."""
    ordered = sorted(streams, key=lambda stream: (stream[0], stream[1].int))
    found = _select_streams(connection, reader, ordered)
    missing = [stream for stream in ordered if stream not in found]
    if missing:
        new = connection.execute(
            "INSERT INTO reader_streams (reader, owner, subject)"
            " SELECT %s, owner, subject FROM unnest(%s::text[], %s::uuid[]) AS new (owner, subject)"
            " ORDER BY owner, subject ON CONFLICT DO NOTHING"
            " RETURNING owner, subject, sequence, parked, waiting",
            (reader, [owner for owner, _ in missing], [subject for _, subject in missing]),
        ).fetchall()
        found |= _stream_rows(new)
        taken = [stream for stream in missing if stream not in found]
        if taken:
            # Another member of the group made these meanwhile.
            found |= _select_streams(connection, reader, taken)
    return found


def _select_streams(connection: Conn, reader: str, streams: Sequence[StreamId]) -> dict[StreamId, StreamRow]:
    # One by one and in their order, by the key: a join would be planned by what the table held once.
    rows = connection.execute(
        "SELECT kept.* FROM unnest(%s::text[], %s::uuid[]) AS asked (owner, subject) CROSS JOIN LATERAL"
        " (SELECT owner, subject, sequence, parked, waiting FROM reader_streams AS stream"
        " WHERE stream.reader = %s AND stream.owner = asked.owner AND stream.subject = asked.subject"
        " FOR UPDATE) AS kept",
        ([owner for owner, _ in streams], [subject for _, subject in streams], reader),
    ).fetchall()
    return _stream_rows(rows)


def _stream_rows(rows: Iterable[Row]) -> dict[StreamId, StreamRow]:
    return {
        (owner, subject): StreamRow(sequence, parked, waiting)
        for owner, subject, sequence, parked, waiting in rows
    }


def write_streams(connection: Conn, reader: str, streams: dict[StreamId, StreamRow]) -> None:
    """Keep how far these streams were applied."""
    if not streams:
        return
    # All of them are there and locked; a conflict is found by the key, whatever the table held once.
    connection.execute(
        "INSERT INTO reader_streams (reader, owner, subject, sequence, parked, waiting)"
        " SELECT %s, * FROM unnest(%s::text[], %s::uuid[], %s::bigint[], %s::bool[], %s::bool[])"
        " ON CONFLICT (reader, owner, subject) DO UPDATE"
        " SET sequence = excluded.sequence, parked = excluded.parked, waiting = excluded.waiting",
        (
            reader,
            [owner for owner, _ in streams],
            [subject for _, subject in streams],
            [row.sequence for row in streams.values()],
            [row.parked for row in streams.values()],
            [row.waiting for row in streams.values()],
        ),
    )


def read_kept(connection: Conn, table: str, reader: str, streams: Collection[StreamId]) -> list[Kept]:
    """What waits (`waiting_records`) or is parked (`parked_records`) of these streams, in order."""
    if not streams:
        return []
    rows = connection.execute(
        f"SELECT owner, subject, sequence, topic, partition, record_offset, headers, value FROM {table}"
        " WHERE reader = %s AND (owner, subject) IN (SELECT * FROM unnest(%s::text[], %s::uuid[]))"
        " ORDER BY owner, subject, sequence",
        (reader, [owner for owner, _ in streams], [subject for _, subject in streams]),
    ).fetchall()
    return [
        Kept(
            (owner, subject),
            sequence,
            Record(topic, part, offset, str(subject).encode(), value, headers_from(headers)),
        )
        for owner, subject, sequence, topic, part, offset, headers, value in rows
    ]


def remove_kept(connection: Conn, table: str, reader: str, gone: Iterable[tuple[StreamId, int]]) -> None:
    """Remove records from `waiting_records` or `parked_records`."""
    listed = list(gone)
    if not listed:
        return
    connection.execute(
        f"DELETE FROM {table} WHERE reader = %s AND (owner, subject, sequence)"
        " IN (SELECT * FROM unnest(%s::text[], %s::uuid[], %s::bigint[]))",
        (
            reader,
            [owner for (owner, _), _ in listed],
            [subject for (_, subject), _ in listed],
            [sequence for _, sequence in listed],
        ),
    )


def keep_waiting(connection: Conn, reader: str, records: Sequence[Kept]) -> None:
    """Keep records that came before something they need; the reason is the missing key's person or None."""
    if not records:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO waiting_records (reader, owner, subject, sequence, topic, partition, record_offset,"
            " headers, value, missing_key) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (reader, owner, subject, sequence)"
            " DO UPDATE SET missing_key = excluded.missing_key",
            [_kept(reader, kept) for kept in records],
        )


def keep_parked(connection: Conn, reader: str, records: Sequence[Kept]) -> None:
    """Park records of streams with their cause."""
    if not records:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO parked_records (id, reader, owner, subject, sequence, topic, partition,"
            " record_offset, headers, value, cause) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [(_id_in_stream(reader, kept), *_kept(reader, kept)) for kept in records],
        )


def _kept(reader: str, kept: Kept) -> tuple[object, ...]:
    record = kept.record
    place = (*record.place, record.offset)
    return (reader, *kept.stream, kept.sequence, *place, header_pairs(record), record.value, kept.reason)


def _id_in_stream(reader: str, kept: Kept) -> UUID:
    """The same each time the record is parked, wherever on the topic it lies by then."""
    owner, subject = kept.stream
    return uuid5(_PARKED, f"{reader}|{owner}|{subject}|{kept.sequence}")


def _id_by_place(reader: str, record: Record) -> UUID:
    """The same each time the record is parked; it belongs to no stream, and is known by place and content.

    The place alone would not do: where the broker lost its end, a topic gives the same offsets once more.
    """
    said = sha256(record.key or b"")
    for part in (header_pairs(record), record.value or b""):
        said.update(b"%d|" % len(part) + part)
    return uuid5(_PARKED, f"{reader}|{record.topic}|{record.partition}|{record.offset}|{said.hexdigest()}")


def park_loose(connection: Conn, reader: str, records: Sequence[tuple[Record, str]]) -> None:
    """Park records that belong to no stream, since their envelope can't be read."""
    for record, cause in records:
        connection.execute(
            "INSERT INTO parked_records (id, reader, topic, partition, record_offset, headers, value, cause)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                _id_by_place(reader, record),
                reader,
                *record.place,
                record.offset,
                header_pairs(record),
                record.value,
                cause,
            ),
        )


def streams_to_wake(connection: Conn, reader: str) -> set[StreamId]:
    """Streams whose missing key is known by now."""
    rows = connection.execute(
        "SELECT DISTINCT owner, subject FROM waiting_records w WHERE reader = %s AND missing_key IS NOT NULL"
        " AND (EXISTS (SELECT FROM known_keys k WHERE k.subject = w.missing_key)"
        " OR EXISTS (SELECT FROM person_keys k WHERE k.subject = w.missing_key))",
        (reader,),
    ).fetchall()
    return {(owner, subject) for owner, subject in rows}
