"""Marking: moments by the log's clock until which all that was committed is known by id."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection, sql

from deskline_chassis.event_log import LOG_LOCK
from deskline_chassis.postgres import connect_direct

log = structlog.get_logger(__name__)

MARK_SECONDS: Final = 0.25

# One message to the server, so that writers wait for no way there and back; its statements are one
# transaction, and the second one's snapshot comes after the lock: what it doesn't see is written later.
# Later events are then stamped after the mark, the microsecond makes that strict.
_MARK: Final = sql.SQL(
    "SELECT pg_advisory_xact_lock_shared({lock});"
    " UPDATE log_head SET last_time = greatest(clock_timestamp(), last_time) + interval '1 microsecond'"
    " RETURNING last_time - interval '1 microsecond', generation,"
    " (SELECT coalesce(max(id), 0) FROM events)"
).format(lock=sql.Literal(LOG_LOCK))


@dataclass(frozen=True, slots=True)
class Mark:
    """Every event up to this id has a time no later than this one; every other one comes later."""

    time: datetime
    generation: int
    last_id: int


async def take_mark(connection: AsyncConnection[Any]) -> Mark:
    """Mark the log, on a connection in autocommit; raises psycopg.OperationalError."""
    cursor = await connection.execute(_MARK)
    cursor.nextset()
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- the migration wrote the row
    return Mark(*row)


class Marker:
    """Takes a mark each 250 ms on a connection of its own; the next one when the last was announced."""

    def __init__(self, url: str, name: str, taken: Callable[[], None]) -> None:
        self._url = url
        self._name = name
        self._taken = taken
        self._announced = asyncio.Event()
        self._announced.set()
        self._mark: Mark | None = None

    def reached(self, position: int) -> Mark | None:
        """The mark that is to be announced now that the log was announced so far; given once."""
        mark = self._mark
        if mark is None or mark.last_id > position:
            return None
        self._mark = None
        self._announced.set()
        return mark

    async def run(self) -> None:
        """Mark until cancelled. A log that can't be marked only stands still: readers notice that."""
        self._mark = None
        self._announced.set()
        while True:
            try:
                async with await connect_direct(self._url, self._name) as connection:
                    await self._keep_marking(connection)
            except psycopg.OperationalError as error:
                log.warning("the log can't be marked", cause=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _keep_marking(self, connection: AsyncConnection[Any]) -> None:
        while True:
            await self._announced.wait()
            self._mark = await take_mark(connection)
            self._announced.clear()
            self._taken()
            await asyncio.sleep(MARK_SECONDS)
