"""The subscription: since when facts are told, decided once and kept for ever."""

from datetime import datetime

from deskline_chassis.postgres import Conn


def subscribe(connection: Conn, reader: str, since: datetime) -> tuple[datetime, datetime]:
    """(the moment since which facts are told, the database's time); the first caller ever decides it."""
    found = _subscription(connection, reader)
    if found is None:
        connection.execute(
            "INSERT INTO subscriptions (reader, active_since) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (reader, since),
        )
        found = _subscription(connection, reader)
    assert found is not None  # noqa: S101 -- it was written above, and the table is append-only
    return found


def _subscription(connection: Conn, reader: str) -> tuple[datetime, datetime] | None:
    row = connection.execute(
        "SELECT active_since, clock_timestamp() FROM subscriptions WHERE reader = %s", (reader,)
    ).fetchone()
    if row is None:
        return None
    active_since, now = row
    return active_since, now
