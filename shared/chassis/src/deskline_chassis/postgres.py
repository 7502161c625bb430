"""PostgreSQL for every service: one pool, short transactions, and whose fault an error is."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import make_conninfo
from psycopg.types.array import ListBinaryDumper
from psycopg_pool import ConnectionPool

from deskline_chassis.loops import Beat, FatalLoopError
from deskline_chassis.settings import WRONG_SETTINGS

Row = tuple[Any, ...]
Conn = Connection[Row]

# Nothing of ours waits longer; a session that does is in trouble, and says so by an error.
SESSION_OPTIONS: Final = {
    "lock_timeout": "5s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
}

# A prepared statement keeps the plan that was right for what its tables held then; in a young table that is
# to read all of it, and minutes of load go by until it is planned anew (ADR 0036).
BY_KEYS: Final = {"enable_seqscan": "off", "jit": "off"}

WATCH_SECONDS: Final = 2.0

# As text each element of a list is searched for what must be quoted, here, and parsed by the server: binary,
# 60 ids take a fifth of the time and 60 JSON texts a three-hundredth (ADR 0038).
ADAPTERS: Final = AdaptersMap(psycopg.adapters)
ADAPTERS.register_dumper(list, ListBinaryDumper)

# SQLSTATE classes that tell of the surroundings and not of the data: connection, resources, operator
# intervention, system, rollback by concurrency, privilege, missing or renamed tables, internal errors.
_SURROUNDINGS: Final = ("08", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58", "F0", "XX")


class DatabaseLocaleError(Exception):
    """A database was not created with the builtin C.UTF-8 locale: Russian search would fail on capitals."""

    safe_message = True


def is_surroundings(error: BaseException) -> bool:
    """Whether an error comes from the database's surroundings, so that trying again may help.

    See PostgreSQL's appendix A, "PostgreSQL Error Codes".
    """
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None:
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return error.sqlstate[:2] in _SURROUNDINGS
    return isinstance(error, ConnectionError | TimeoutError)


def conninfo(url: str, name: str, **options: str) -> str:
    """A libpq connection string with our session settings, keepalives and the application's name."""
    settings = " ".join(f"-c {key}={value}" for key, value in (SESSION_OPTIONS | options).items())
    return make_conninfo(
        url,
        application_name=name,
        options=settings,
        connect_timeout=5,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
    )


class Database:
    """A service's database: a pool of connections, each transaction committed or rolled back whole.

    Its statements find rows by indexes. Errors are psycopg's; `psycopg_pool.PoolTimeout` (an
    OperationalError) when no connection is to be had.
    """

    def __init__(self, url: str, name: str, *, size: int = 8, search_path: str | None = None) -> None:
        options = BY_KEYS | ({} if search_path is None else {"search_path": search_path})
        self.url = url
        self.name = name
        self._pool: ConnectionPool[Conn] = ConnectionPool(
            conninfo(url, name, **options),
            kwargs={"context": ADAPTERS},
            min_size=1,
            max_size=size,
            timeout=5,
            max_idle=60,
            reconnect_timeout=5,
            open=False,
        )

    def open(self) -> None:
        """Start the pool; the database may be away, it is tried again in the background."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """End all connections."""
        self._pool.close(timeout=3)

    @contextmanager
    def transaction(self) -> Iterator[Conn]:
        """A connection in a transaction (READ COMMITTED); commits at the end, rolls back on an error."""
        with self._pool.connection() as connection:
            yield connection

    def run(self, work: Callable[[Conn], Any]) -> Any:
        """Do the work in a transaction of its own."""
        with self.transaction() as connection:
            return work(connection)

    async def watch(self, beat: Beat, stop: asyncio.Event) -> None:
        """A loop: ready while the database answers and has the right locale; ends the process where not."""
        right = False
        while not stop.is_set():
            try:
                right = await asyncio.to_thread(self._ask, right)
            except DatabaseLocaleError as wrong:
                raise FatalLoopError(WRONG_SETTINGS, str(wrong)) from None
            except psycopg.Error as error:
                beat.red(f"database: {type(error).__name__}")
            else:
                beat.progress()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_SECONDS)

    def _ask(self, right: bool) -> bool:  # noqa: FBT001 -- what the question before found
        with self.transaction() as connection:
            if right:
                connection.execute("SELECT 1")
            else:
                check_locale(connection)
        return True


async def connect_direct(url: str, name: str, **options: str) -> AsyncConnection[Row]:
    """A connection of its own, in autocommit, outside any pool: for leases and notifications."""
    return await AsyncConnection.connect(conninfo(url, name, **options), autocommit=True)


def check_locale(connection: Conn) -> None:
    """Raise DatabaseLocaleError unless the database has the builtin C.UTF-8 locale."""
    found = connection.execute(
        "SELECT datlocprovider, pg_encoding_to_char(encoding), lower('ПРИВЕТ') = 'привет'"
        " FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    if found != ("b", "UTF8", True):
        raise DatabaseLocaleError(
            "create the database with ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
        )
