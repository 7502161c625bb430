"""Who may write the read models: a reader's transactions share a lock, a rebuild has it all for a moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import Connection

from deskline_chassis.postgres import Conn, conninfo

SERVING_LOCK: Final = 0x414E41
REBUILD_LOCK: Final = 0x524255
PROCESSES_LOCK: Final = 0x524250
# A rebuild that was stopped while the reader stands still for it loses its session, and the reader goes on.
_PAUSE: Final = {
    "lock_timeout": "30s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "60s",
}


def share_in_transaction(connection: Conn) -> None:
    """Take the reader's share until the end of the transaction; LockNotAvailable while it stands still."""
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (SERVING_LOCK,))


def take_for_rebuild(connection: Connection[tuple[Any, ...]]) -> bool:
    """Be the only rebuild, for this session; False while another one runs.

    Processes of one that was killed end by themselves and are waited for; LockNotAvailable if they don't.
    """
    if connection.execute("SELECT pg_try_advisory_lock(%s)", (REBUILD_LOCK,)).fetchone() != (True,):
        return False
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '30s'")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (PROCESSES_LOCK,))
    return True


def join_rebuild(connection: Connection[tuple[Any, ...]]) -> None:
    """Be a process of the rebuild that runs, for this session."""
    connection.execute("SELECT pg_advisory_lock_shared(%s)", (PROCESSES_LOCK,))


@contextmanager
def reader_paused(url: str, reader: str, *, streams: bool = False) -> Iterator[Connection[tuple[Any, ...]]]:
    """Nobody writes the read models, and the reader's positions stand still, until this transaction ends.

    Locks in the order in which the reader takes them: positions, its streams (where they are to be
    replaced), then the lock that its effects share. What is not committed is rolled back.
    """
    with psycopg.connect(conninfo(url, "deskline-analytics-pause", **_PAUSE)) as connection:
        connection.execute(
            "SELECT FROM public.positions WHERE reader = %s ORDER BY topic, partition FOR UPDATE", (reader,)
        )
        if streams:
            connection.execute(
                "SELECT FROM public.reader_streams WHERE reader = %s ORDER BY owner, subject FOR UPDATE",
                (reader,),
            )
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (SERVING_LOCK,))
        yield connection
        connection.rollback()
