"""The bell: wakes the relay after a commit, in this process at once and in another one by NOTIFY."""

import asyncio
import contextlib

import psycopg
from psycopg import sql

from deskline_chassis.event_log import NOTIFY_CHANNEL
from deskline_chassis.loops import Beat
from deskline_chassis.postgres import connect_direct


class Bell:
    """Rung after each commit that appended; many rings become one.

    NOTIFY goes over a connection of its own and after the commit: inside the writing transaction it
    would take a lock that all databases of the server share.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outward = asyncio.Event()
        self.heard = asyncio.Event()
        self.relay_is_here = False

    def ring(self) -> None:
        """Something was committed; callable from any thread."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        with contextlib.suppress(RuntimeError):  # the loop may close meanwhile; the relay polls as well
            loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self.heard.set()
        if not self.relay_is_here:
            self._outward.set()

    async def wait(self, seconds: float) -> None:
        """Until the bell was heard, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.heard.wait(), seconds)
        self.heard.clear()

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Carry rings to a relay in another process; loses nothing that matters, as the relay also polls."""
        self._loop = asyncio.get_running_loop()
        while not stop.is_set():
            beat.progress()
            try:
                async with await connect_direct(self._url, self._name) as connection:
                    await self._carry(connection, beat, stop)
            except psycopg.OperationalError as error:
                beat.red(f"database: {type(error).__name__}")
                await asyncio.sleep(0.5)

    async def _carry(
        self, connection: psycopg.AsyncConnection[tuple[object, ...]], beat: Beat, stop: asyncio.Event
    ) -> None:
        notify = sql.SQL("NOTIFY {}").format(sql.Identifier(NOTIFY_CHANNEL))
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._outward.wait(), 0.5)
                self._outward.clear()
                await connection.execute(notify)
            beat.progress()

    async def listen(self) -> None:
        """Hear what other processes ring, until cancelled; raises psycopg.OperationalError."""
        async with await connect_direct(self._url, f"{self._name}-listen") as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(NOTIFY_CHANNEL)))
            async for _ in connection.notifies():
                self.heard.set()
