"""Raw messages in PostgreSQL: stored before they are acknowledged, then taken lane by lane."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from deskline_chassis.postgres import Conn, Database, Row, is_surroundings
from deskline_intake.ports import AcceptedMail, Outcome, StoredLine, StoredMail

LEASE_SECONDS: Final = 6
CAREFUL_TRIES: Final = 3
CHUNK: Final = 1024 * 1024
_MOST_COUNTED: Final = 50_000

# PostgreSQL's binary format of COPY: signature, flags and extension; -1 for NULL; -1 fields at the end.
_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_NULL: Final = b"\xff\xff\xff\xff"
_TRAILER: Final = b"\xff\xff"

STORED: Final = (
    "r.raw_id, r.lane, r.arrival, l.line_id, l.name, l.channel, l.address, l.language,"
    " l.disabled_at IS NOT NULL, r.heavy, r.size, r.envelope_from, r.reply_token, r.received_at,"
    " r.traceparent"
)
"""Columns of a stored message, of raw_messages r and lines l."""

Unit = Sequence[AcceptedMail]
"""What one DATA brought: a mail for one or more lines, stored whole or not at all."""


def store_units(database: Database, units: Sequence[Unit]) -> list[Exception | None]:
    """Store mails together; None for what is committed, its error for what is not.

    A unit that can't be stored for what it holds takes no other along.
    """
    try:
        with database.transaction() as connection:
            insert_mails(connection, [mail for unit in units for mail in unit])
    except Exception as error:  # noqa: BLE001 -- told to the door, which refuses the mail
        if len(units) == 1 or is_surroundings(error):
            return [error] * len(units)
        return [store_units(database, [unit])[0] for unit in units]
    return [None] * len(units)


def insert_mails(connection: Conn, mails: Sequence[AcceptedMail]) -> None:
    """By COPY, piece by piece: as a parameter a large mail would be in memory a second time."""
    statement = (
        "COPY raw_messages (raw_id, line_id, lane, heavy, envelope_from, reply_token, traceparent, size, raw)"
        " FROM STDIN (FORMAT BINARY)"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_SIGNATURE)
        for mail in mails:
            fields = (
                mail.raw_id.bytes,
                mail.line_id.bytes,
                mail.lane.to_bytes(2, "big"),
                bytes((mail.heavy,)),
                _text(mail.envelope_from),
                _text(mail.reply_token),
                _text(mail.traceparent),
                mail.size.to_bytes(4, "big"),
            )
            sized = b"".join(_NULL if f is None else len(f).to_bytes(4, "big") + f for f in fields)
            count = (len(fields) + 1).to_bytes(2, "big")
            copy.write(count + sized + mail.size.to_bytes(4, "big"))
            for piece in mail.pieces:
                copy.write(piece)
        copy.write(_TRAILER)


def _text(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


def claim_lanes(connection: Conn, holder: UUID, *, heavy: bool, limit: int) -> dict[int, bool]:
    """Take lanes whose next mail is heavy, or isn't; lane → whether it was taken often without success.

    A lease only spares double work: what is announced twice is refused under the log's lock.
    """
    connection.execute("SET LOCAL synchronous_commit = off")
    rows = connection.execute(
        "UPDATE lanes SET holder = %(holder)s, tries = lanes.tries + 1,"
        " held_until = clock_timestamp() + make_interval(secs => %(seconds)s)"
        " FROM (SELECT l.lane FROM lanes l CROSS JOIN LATERAL"
        "  (SELECT r.heavy FROM raw_messages r WHERE r.lane = l.lane AND r.state = 'received'"
        "   ORDER BY r.arrival LIMIT 1) AS following"
        "  WHERE following.heavy = %(heavy)s AND l.held_until < clock_timestamp()"
        "  ORDER BY l.held_until, l.lane LIMIT %(limit)s FOR UPDATE OF l SKIP LOCKED) AS free"
        " WHERE lanes.lane = free.lane RETURNING lanes.lane, lanes.tries",
        {"holder": holder, "seconds": LEASE_SECONDS, "heavy": heavy, "limit": limit},
    ).fetchall()
    return {lane: tries > CAREFUL_TRIES for lane, tries in rows}


def keep_lanes(connection: Conn, holder: UUID, lanes: Sequence[int]) -> None:
    """Hold lanes for longer."""
    connection.execute("SET LOCAL synchronous_commit = off")
    connection.execute(
        "UPDATE lanes SET held_until = clock_timestamp() + make_interval(secs => %s)"
        " WHERE lane = ANY(%s) AND holder = %s",
        (LEASE_SECONDS, list(lanes), holder),
    )


def release_lanes(connection: Conn, holder: UUID, lanes: Sequence[int]) -> None:
    """Let go of lanes whose mails were dealt with."""
    connection.execute(
        "UPDATE lanes SET holder = NULL, tries = 0, held_until = to_timestamp(0)"
        " WHERE lane = ANY(%s) AND holder = %s",
        (sorted(lanes), holder),
    )


def free_lanes(connection: Conn, holder: UUID, lanes: Sequence[int], *, blameless: bool) -> None:
    """Let go of lanes after a failure, which counts as a try unless the surroundings were to blame."""
    connection.execute(
        "UPDATE lanes SET holder = NULL, tries = greatest(0, tries - %s), held_until = to_timestamp(0)"
        " WHERE lane = ANY(%s) AND holder = %s",
        (int(blameless), sorted(lanes), holder),
    )


def next_mails(connection: Conn, lanes: dict[int, bool], limit: int) -> list[StoredMail]:
    """The oldest unread mails of these lanes, in the order of their arrival, without their bytes."""
    rows = connection.execute(
        f"SELECT {STORED} FROM raw_messages r JOIN lines l USING (line_id)"
        " WHERE r.state = 'received' AND r.lane = ANY(%s) ORDER BY r.arrival LIMIT %s",
        (list(lanes), limit),
    ).fetchall()
    return [stored_mail(row, careful=lanes[row[1]]) for row in rows]


def stored_mail(row: Row, *, careful: bool) -> StoredMail:
    """A row of the columns `STORED`."""
    raw_id, lane, arrival, *line, heavy, size, sender, token, received_at, traceparent = row
    return StoredMail(
        raw_id=raw_id,
        lane=lane,
        arrival=arrival,
        line=StoredLine(*line),
        heavy=heavy,
        size=size,
        envelope_from=sender,
        reply_token=token,
        received_at=received_at,
        traceparent=traceparent,
        careful=careful,
    )


def read_raw(connection: Conn, raw_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The bytes of messages; not of those that were erased."""
    rows = connection.execute(
        "SELECT raw_id, raw FROM raw_messages WHERE raw_id = ANY(%s) AND raw IS NOT NULL",
        (list(raw_ids),),
        binary=True,
    ).fetchall()
    return dict(rows)


def read_raw_in_chunks(database: Database, raw_id: UUID, size: int) -> Iterator[bytes]:
    """The bytes of a large mail, a megabyte at a time; no transaction is open in between."""
    for start in range(0, size, CHUNK):
        with database.transaction() as connection:
            row = connection.execute(
                "SELECT substring(raw FROM %s FOR %s) FROM raw_messages"
                " WHERE raw_id = %s AND raw IS NOT NULL",
                (start + 1, CHUNK, raw_id),
                binary=True,
            ).fetchone()
        if row is not None:
            yield row[0]


def lock_unread(connection: Conn, raw_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these mails nobody dealt with yet; the caller holds the log's lock."""
    rows = connection.execute(
        "SELECT raw_id FROM raw_messages WHERE raw_id = ANY(%s) AND state = 'received'"
        " ORDER BY arrival FOR NO KEY UPDATE",
        (list(raw_ids),),
    ).fetchall()
    return {raw_id for (raw_id,) in rows}


def mark_read(connection: Conn, outcomes: Sequence[Outcome]) -> None:
    """Note what became of mails."""
    connection.execute(
        "UPDATE raw_messages r SET state = o.state, source_key = o.source_key,"
        " duplicate_of = o.duplicate_of, parsed_at = clock_timestamp()"
        " FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[])"
        " AS o (raw_id, state, source_key, duplicate_of) WHERE r.raw_id = o.raw_id",
        (
            [o.raw_id for o in outcomes],
            [o.state for o in outcomes],
            [o.source_key for o in outcomes],
            [o.duplicate_of for o in outcomes],
        ),
    )
    repeated = [o.raw_id for o in outcomes if o.erased]
    if repeated:
        forget_raw(connection, repeated)


def forget_raw(connection: Conn, raw_ids: Sequence[UUID]) -> None:
    """Messages of somebody who was erased: what they held is gone, that they came stays known."""
    connection.execute(
        "UPDATE raw_messages SET raw = NULL, envelope_from = NULL, reply_token = NULL,"
        " erased_at = clock_timestamp() WHERE raw_id = ANY(%s) AND erased_at IS NULL",
        (list(raw_ids),),
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """Messages that were ever stored and that wait to be read; events ever written and announced."""

    stored: int
    unread: int
    events: int
    announced: int


def progress(connection: Conn) -> Progress:
    """How far what was accepted has come in this service; sequences may have gaps, which do no harm here."""
    row = connection.execute(
        "SELECT (SELECT last_value FROM raw_messages_arrival_seq), (SELECT count(*) FROM"
        " (SELECT FROM raw_messages WHERE state = 'received' LIMIT %s) AS unread),"
        " (SELECT coalesce(max(id), 0) FROM events), (SELECT position FROM relay)",
        (_MOST_COUNTED,),
    ).fetchone()
    assert row is not None  # noqa: S101 -- a SELECT without FROM gives one row
    return Progress(*row)


def backlog(connection: Conn) -> int:
    """How many mails wait to be read."""
    row = connection.execute("SELECT count(*) FROM raw_messages WHERE state = 'received'").fetchone()
    return 0 if row is None else int(row[0])
