"""The rebuilt tables: made like the live ones, compared with them, and put in their place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, IsolationLevel
from psycopg.sql import SQL, Composed, Identifier, Literal

from deskline_analytics.rebuilding import Targets

MAX_KEYS: Final = 20
READER_TABLES: Final = ("positions", "reader_streams", "waiting_records", "parked_records")
STREAMS: Final = "streams"

Owner = Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Compared:
    """A table beside its rebuilt self: rows, whether their hashes are equal, and keys that differ."""

    table: str
    live_rows: int
    rebuilt_rows: int
    equal: bool
    keys: tuple[str, ...] = ()


def targets(connection: Owner, reader: str) -> Targets:
    """How far the live reader has come."""
    rows = connection.execute(
        "SELECT topic, partition, next_offset FROM public.positions WHERE reader = %s", (reader,)
    ).fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def restored(connection: Owner, live: str, rebuilder: str) -> bool:
    """Whether the rebuild rests on a newer generation of an owner's log than the live reader began with."""
    found = connection.execute(
        "SELECT FROM public.positions l JOIN public.positions r USING (topic, partition)"
        " WHERE l.reader = %s AND r.reader = %s AND l.generation < r.generation LIMIT 1",
        (live, rebuilder),
    )
    return found.fetchone() is not None


def prepare(connection: Owner, tables: tuple[str, ...], rebuilder: str, runtime_role: str) -> None:
    """Empty tables in schema `rebuilt`; what an interrupted rebuild left is gone."""
    with connection.transaction():
        clear(connection, rebuilder)
        for table in tables:
            name = Identifier(table)
            connection.execute(
                SQL("CREATE TABLE rebuilt.{} (LIKE public.{} INCLUDING ALL)").format(name, name)
            )
            connection.execute(
                SQL("COMMENT ON TABLE rebuilt.{} IS 'read model: a rebuild under way'").format(name)
            )
        connection.execute(
            SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA rebuilt TO {}").format(
                Identifier(runtime_role)
            )
        )


def clear(connection: Owner, rebuilder: str) -> None:
    """Remove the rebuilt tables and the rebuild's reader."""
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'rebuilt'").fetchall()
    for (table,) in found:
        connection.execute(SQL("DROP TABLE rebuilt.{}").format(Identifier(table)))
    for table in READER_TABLES:
        connection.execute(
            SQL("DELETE FROM public.{} WHERE reader = %s").format(Identifier(table)), (rebuilder,)
        )


@contextmanager
def one_moment(connection: Owner) -> Iterator[None]:
    """All that is read within is of this moment, whatever is written meanwhile."""
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            connection.execute("SELECT pg_current_snapshot()")
            yield
    finally:
        connection.isolation_level = None


def compare(connection: Owner, table: str) -> Compared:
    """A live table and its rebuilt self."""
    keys = _primary_key(connection, table)
    live, rebuilt = (_select(Identifier(schema, table)) for schema in ("public", "rebuilt"))
    return _compare(connection, table, live, rebuilt, keys)


def compare_streams(connection: Owner, live: str, rebuilder: str) -> Compared:
    """How far both readers came in each stream, and what each has parked or lets wait."""
    keys = ("owner", "subject")
    return _compare(connection, STREAMS, _streams_of(live), _streams_of(rebuilder), keys)


def is_rereading(connection: Owner, live: str, rebuilder: str) -> bool:
    """Whether the live reader has applied more than lies before its positions: it reads repeats."""
    found = connection.execute(
        "SELECT FROM public.reader_streams l LEFT JOIN public.reader_streams r"
        " ON r.reader = %s AND r.owner = l.owner AND r.subject = l.subject"
        " WHERE l.reader = %s AND l.sequence > coalesce(r.sequence, 0) LIMIT 1",
        (rebuilder, live),
    )
    return found.fetchone() is not None


def readable_now(connection: Owner, live: str, rebuilder: str) -> list[str]:
    """Streams that the live reader parked and the rebuild could apply."""
    rows = connection.execute(
        "SELECT l.owner, l.subject::text FROM public.reader_streams l JOIN public.reader_streams r"
        " USING (owner, subject) WHERE l.reader = %s AND r.reader = %s AND l.parked AND NOT r.parked"
        " ORDER BY 1, 2",
        (live, rebuilder),
    ).fetchall()
    return [f"{owner} {subject}" for owner, subject in rows]


def put_in_place(
    connection: Owner, tables: tuple[str, ...], live: str, rebuilder: str, *, readers: bool
) -> None:
    """Copy the rebuilt rows over the live ones in one transaction, with the reader's own if told so.

    Rows are copied and not tables renamed: views, grants, comments and names of indexes stay what they
    are, and queries go on meanwhile. The caller lets the live reader stand still.
    """
    with connection.transaction():
        for table in tables:
            name = Identifier(table)
            connection.execute(SQL("DELETE FROM public.{}").format(name))
            connection.execute(SQL("INSERT INTO public.{} SELECT * FROM rebuilt.{}").format(name, name))
        if readers:
            for table in READER_TABLES:
                name = Identifier(table)
                connection.execute(SQL("DELETE FROM public.{} WHERE reader = %s").format(name), (live,))
                connection.execute(
                    SQL("UPDATE public.{} SET reader = %s WHERE reader = %s").format(name), (live, rebuilder)
                )
        clear(connection, rebuilder)


def _select(table: Identifier) -> Composed:
    return SQL("SELECT * FROM {}").format(table)


def _streams_of(reader: str) -> Composed:
    return SQL(
        "SELECT owner, subject, sequence, parked, waiting FROM public.reader_streams WHERE reader = {}"
    ).format(Literal(reader))


def _primary_key(connection: Owner, table: str) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT a.attname FROM pg_index i JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, place) ON true"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
        " WHERE i.indisprimary AND i.indrelid = to_regclass(%s) ORDER BY k.place",
        (f"public.{table}",),
    ).fetchall()
    return tuple(name for (name,) in rows)


def _compare(
    connection: Owner, name: str, live: Composed, rebuilt: Composed, keys: tuple[str, ...]
) -> Compared:
    (live_rows, live_hash), (rebuilt_rows, rebuilt_hash) = (
        _hash(connection, rows) for rows in (live, rebuilt)
    )
    if (live_rows, live_hash) == (rebuilt_rows, rebuilt_hash):
        return Compared(name, live_rows, rebuilt_rows, equal=True)
    key = SQL(", ").join(Identifier(column) for column in keys)
    differing = connection.execute(
        SQL(
            "SELECT concat_ws(' ', {key}) || CASE WHEN b::text IS NULL THEN ': only live'"
            " WHEN a::text IS NULL THEN ': only rebuilt' ELSE ': changed' END"
            " FROM ({live}) a FULL JOIN ({rebuilt}) b USING ({key})"
            " WHERE a::text IS DISTINCT FROM b::text ORDER BY {key} LIMIT {limit}"
        ).format(key=key, live=live, rebuilt=rebuilt, limit=MAX_KEYS)
    ).fetchall()
    return Compared(name, live_rows, rebuilt_rows, equal=False, keys=tuple(text for (text,) in differing))


def _hash(connection: Owner, rows: Composed) -> tuple[int, tuple[int, int]]:
    """Count and a hash of 128 bits that is the same in any order, so that nothing is sorted.

    Rows are told apart by their keys, so that no two cancel each other out.
    """
    row = connection.execute(
        SQL(
            "SELECT count(*), coalesce(bit_xor(hashtextextended(t::text, 0)), 0),"
            " coalesce(bit_xor(hashtextextended(t::text, 1)), 0) FROM ({rows}) t"
        ).format(rows=rows)
    ).fetchone()
    return (0, (0, 0)) if row is None else (row[0], (row[1], row[2]))
