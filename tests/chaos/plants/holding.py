"""A table held by somebody else: whoever needs it stands still there, and can be killed at that point."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import psycopg
from tests.witness import rows

Mode = Literal["SHARE", "ACCESS EXCLUSIVE"]


@contextmanager
def held(url: str, table: str, mode: Mode) -> Iterator[None]:
    """Hold a table, SHARE against who writes to it, ACCESS EXCLUSIVE against all; `url` is its owner's."""
    with psycopg.connect(url) as connection:
        connection.execute("SET lock_timeout = '15s'")
        connection.execute(f"LOCK TABLE {table} IN {mode} MODE")
        yield
        connection.rollback()


def someone_waits(url: str, table: str) -> bool:
    """Whether a session stands still before a table of this database."""
    statement = (
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        f" WHERE NOT granted AND datname = current_database() AND relation = '{table}'::regclass"
    )
    return bool(rows(url, statement)[0][0])
