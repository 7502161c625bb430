"""Forms' messages in PostgreSQL: which were accepted, and how often lately."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from deskline_chassis.postgres import Conn

Scope = bytes
"""The hash of a line or of an address whose messages are counted."""


def find_forms(connection: Conn, raw_ids: Sequence[UUID]) -> dict[UUID, bytes | None]:
    """What was accepted under these ids, None where it was erased."""
    rows = connection.execute(
        "SELECT raw_id, raw FROM raw_messages WHERE raw_id = ANY(%s)", (list(raw_ids),), binary=True
    ).fetchall()
    return dict(rows)


def own_addresses(connection: Conn, addresses: Collection[str]) -> set[str]:
    """Those of some normalised addresses that are mail lines' own."""
    rows = connection.execute(
        "SELECT address FROM lines WHERE address = ANY(%s) AND channel = 'email'", (list(addresses),)
    ).fetchall()
    return {address for (address,) in rows}


def read_hits(connection: Conn, scopes: Sequence[Scope]) -> tuple[Mapping[Scope, list[datetime]], datetime]:
    """When messages of these scopes were accepted lately, and the time now; nothing is locked."""
    rows = connection.execute(
        "SELECT scope, hits FROM form_rates WHERE scope = ANY(%s)", (list(scopes),), binary=True
    ).fetchall()
    return dict(rows), _now(connection)


def lock_hits(connection: Conn, scopes: Sequence[Scope]) -> tuple[Mapping[Scope, list[datetime]], datetime]:
    """As `read_hits`; whoever comes for one of these scopes waits until this transaction ends."""
    rows = connection.execute(
        "INSERT INTO form_rates AS known (scope, hits, ends_at)"
        " SELECT scope, '{}', clock_timestamp()"
        " FROM unnest(%s::bytea[]) WITH ORDINALITY AS wanted (scope, place)"
        " ORDER BY place ON CONFLICT (scope) DO UPDATE SET scope = excluded.scope"
        " RETURNING known.scope, known.hits",
        (list(scopes),),
        binary=True,
    ).fetchall()
    return dict(rows), _now(connection)


def save_hits(connection: Conn, hits: Sequence[tuple[Scope, Sequence[datetime], datetime]]) -> None:
    """Keep the hits of locked scopes, and until when they count."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE form_rates SET hits = %s::timestamptz[], ends_at = %s WHERE scope = %s",
            [(list(times), ends_at, scope) for scope, times, ends_at in hits],
        )


def drop_hits(connection: Conn, scopes: Sequence[Scope]) -> None:
    """Forget scopes for good."""
    connection.execute("DELETE FROM form_rates WHERE scope = ANY(%s)", (list(scopes),))


def drop_ended_hits(connection: Conn) -> int:
    """Forget what counts no more; how many scopes that were. A scope that is in use is left alone."""
    done = connection.execute(
        "DELETE FROM form_rates WHERE scope IN"
        " (SELECT scope FROM form_rates WHERE ends_at < statement_timestamp() FOR UPDATE SKIP LOCKED)"
    )
    return done.rowcount


def _now(connection: Conn) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101 -- a SELECT without FROM gives one row
    now: datetime = row[0]
    return now
