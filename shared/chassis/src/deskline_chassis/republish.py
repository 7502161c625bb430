"""Republication by command: a higher epoch, and after a restore of the database a new generation."""

from deskline_chassis.event_log import LOG_LOCK
from deskline_chassis.postgres import Database


def republish(database: Database, *, restored: bool) -> int:
    """Announce everything anew; gives the epoch. `restored`: the database went back to an earlier moment.

    Events written from then on carry the new generation in their ids, and readers say that they must be
    rebuilt.
    """
    with database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK,))
        if restored:
            connection.execute("UPDATE log_head SET generation = generation + 1")
        row = connection.execute(
            "UPDATE relay SET epoch = epoch + 1, position = 0, keys_position = 0, acknowledged = '{}'"
            " RETURNING epoch"
        ).fetchone()
    assert row is not None  # noqa: S101 -- the migration wrote the row
    return int(row[0])
