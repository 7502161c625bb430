"""Who may write the read models: serving readers share a lock, a rebuild needs it for itself.

A serving process holds it on a session of its own for its whole life, so that a rebuild refuses to
begin; each of the reader's transactions takes it as well, so that none slips in beside a rebuild.
"""

import asyncio
import contextlib
from typing import Final

import psycopg
import structlog
from psycopg import Connection

from deskline_chassis.postgres import Conn, connect_direct
from deskline_chassis.runtime import Beat, Run

log = structlog.get_logger(__name__)

SERVING_LOCK: Final = 0x414E41
PING_SECONDS: Final = 1.0
# A stopped process does not ping; its session ends, and with it its share of the lock.
LEASE: Final = "10s"


class RebuildRunningError(Exception):
    """A rebuild has the read models for itself."""

    safe_message = True


def hold_while_serving(url: str, name: str) -> Run:
    """A loop that holds this process's share of the lock; red while it cannot be had."""

    async def run(beat: Beat, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await _hold(url, name, beat, stop)
            except (psycopg.Error, OSError, RebuildRunningError) as error:
                beat.red(f"serving lock: {type(error).__name__}")
                log.warning("the serving lock is not held", cause=type(error).__name__)
                await _pause(stop, 0.5)

    return run


async def _hold(url: str, name: str, beat: Beat, stop: asyncio.Event) -> None:
    async with await connect_direct(url, f"{name}-serving", idle_session_timeout=LEASE) as connection:
        cursor = await connection.execute("SELECT pg_try_advisory_lock_shared(%s)", (SERVING_LOCK,))
        if await cursor.fetchone() != (True,):
            raise RebuildRunningError("a rebuild is running")
        while not stop.is_set():
            await connection.execute("SELECT 1")
            beat.progress()
            await _pause(stop, PING_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def share_in_transaction(connection: Conn) -> None:
    """Take the reader's share until the end of the transaction; LockNotAvailable while a rebuild runs."""
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (SERVING_LOCK,))


def take_for_rebuild(connection: Connection[tuple[object, ...]]) -> bool:
    """Take the whole lock for this session; False while a reader serves or another rebuild runs."""
    return connection.execute("SELECT pg_try_advisory_lock(%s)", (SERVING_LOCK,)).fetchone() == (True,)
