"""Parked records: what there is, and how an operator of the system gets rid of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from deskline_chassis.applying import Applier, RedriveRefusedError
from deskline_chassis.decoding import UNKNOWN_TYPE, Place, StreamId, headers_from
from deskline_chassis.postgres import Database
from deskline_chassis.sorting import FOLLOWS
from deskline_events.catalog import CATALOG

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked stream (its first record's cause), or a record that belongs to none."""

    id: UUID
    reader: str
    owner: str | None
    subject: UUID | None
    sequence: int | None
    topic: str
    partition: int
    record_offset: int
    cause: str
    since: datetime
    records: int


def parked_list(database: Database, reader: str | None = None) -> list[Parked]:
    """What is parked, oldest first; one line a stream."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT ON (reader, owner, subject, coalesce(subject, id)) id, reader, owner, subject,"
            " sequence, topic, partition, record_offset, cause, since,"
            " count(*) OVER (PARTITION BY reader, owner, subject, coalesce(subject, id))"
            " FROM parked_records WHERE %(reader)s::text IS NULL OR reader = %(reader)s"
            " ORDER BY reader, owner, subject, coalesce(subject, id), sequence",
            {"reader": reader},
        ).fetchall()
    return sorted((Parked(*row) for row in rows), key=lambda parked: parked.since)


def redrive(applier: Applier, database: Database, subject: UUID | None = None) -> tuple[int, list[str]]:
    """Apply what is parked of one subject, or all; how many records were applied, and who was refused."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT owner, subject FROM reader_streams WHERE reader = %s AND parked ORDER BY owner, subject",
            (applier.spec.name,),
        ).fetchall()
    applied, refused = 0, []
    streams: list[StreamId] = [(owner, found) for owner, found in rows if subject in {None, found}]
    for stream in streams:
        try:
            applied += applier.redrive(stream)
        except RedriveRefusedError as error:
            refused.append(f"{stream[0]} {stream[1]}: {error}")
    return applied, refused


def redrive_understood(applier: Applier, database: Database) -> int:
    """Redrive streams that were parked for a type this reader did not know then and knows now; how many."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT ON (owner, subject) owner, subject, cause, headers FROM parked_records"
            " WHERE reader = %s AND subject IS NOT NULL ORDER BY owner, subject, sequence",
            (applier.spec.name,),
        ).fetchall()
    done = 0
    for owner, subject, cause, headers in rows:
        kind = dict(headers_from(headers)).get("ce_type", b"").decode("ascii", "replace")
        if not cause.endswith(UNKNOWN_TYPE) or kind not in CATALOG:
            continue
        try:
            applier.redrive((owner, subject))
        except RedriveRefusedError as error:
            log.warning("a parked stream was refused", owner=owner, stream=str(subject), cause=str(error))
        else:
            done += 1
            log.info("a parked stream is understood now", owner=owner, stream=str(subject))
    return done


def newly_parked(database: Database, reader: str) -> int:
    """How many streams were parked within the last minute."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT count(DISTINCT (owner, subject)) FROM parked_records WHERE reader = %s"
            " AND subject IS NOT NULL AND cause <> %s"
            " AND since > statement_timestamp() - interval '1 minute'",
            (reader, FOLLOWS),
        ).fetchone()
    return 0 if row is None else int(row[0])


def discard(database: Database, parked_id: UUID) -> bool:
    """Remove a record that belongs to no stream; those of a stream can only be redriven."""
    with database.transaction() as connection:
        done = connection.execute(
            "DELETE FROM parked_records WHERE id = %s AND subject IS NULL", (parked_id,)
        )
    return done.rowcount == 1


def counts(database: Database, reader: str) -> tuple[int, int]:
    """How many records wait, and how many streams and loose records are parked."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM waiting_records WHERE reader = %(r)s),"
            " (SELECT count(*) FROM reader_streams WHERE reader = %(r)s AND parked)"
            " + (SELECT count(*) FROM parked_records WHERE reader = %(r)s AND subject IS NULL)",
            {"r": reader},
        ).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def positions_of(database: Database, reader: str) -> dict[Place, int]:
    """How far the reader applied each partition."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT topic, partition, next_offset FROM positions WHERE reader = %s", (reader,)
        ).fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}
