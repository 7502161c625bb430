"""How much is on its way: looked at twice a second, and judged for the doors.

intake asks nobody but the two servers: its own tables, and the offsets that the deployment's readers
committed. A sender who is told to come again keeps the message; one who is not waits for an answer.
"""

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg
import structlog

from deskline_chassis.lag import Lag, Lags, LagsUnknownError
from deskline_chassis.loops import Beat
from deskline_chassis.postgres import Database
from deskline_intake import figures
from deskline_intake.adapters.raw_messages import Progress, progress
from deskline_intake.domain.pressure import Pressure, Standing

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.5
AWAY_SECONDS: Final = 3.0


class PressureGauge:
    """The loop that looks; what it does not learn counts as nothing, so that an outage shuts no door."""

    def __init__(self, database: Database, lags: Lags, pressure: Pressure) -> None:
        self._database = database
        self._lags = lags
        self._pressure = pressure
        self._known: set[str] = set()
        self._ask_at = 0.0

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Look until stopped; while a server is away the doors are judged by the other one."""
        thread = ThreadPoolExecutor(1, "pressure")
        try:
            while not stop.is_set():
                await self._look(thread)
                beat.progress()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        finally:
            await self._lags.close()
            thread.shutdown(wait=False, cancel_futures=True)

    async def _look(self, thread: ThreadPoolExecutor) -> None:
        stages: dict[str, Standing] = {}
        readers: dict[str, Lag] = {}
        with contextlib.suppress(psycopg.OperationalError):
            own = await asyncio.get_running_loop().run_in_executor(thread, self._own)
            stages = {
                "unread": Standing(own.stored - own.unread, own.unread),
                "unannounced": Standing(own.announced, own.events - own.announced),
            }
        if time.monotonic() >= self._ask_at:
            try:
                readers = await self._lags.ask()
            except LagsUnknownError:
                self._ask_at = time.monotonic() + AWAY_SECONDS
        was_high = self._pressure.is_high
        at = time.monotonic()
        ends = {name: Standing(lag.passed, lag.left) for name, lag in readers.items()}
        self._pressure.look(at, stages, ends)
        self._tell({name: self._pressure.wait_of(name, at) for name in (*stages, *ends)})
        if self._pressure.is_high != was_high:
            # Around the bound it changes often: figures tell it better than lines.
            log.debug("pressure", high=self._pressure.is_high, wait=round(self._pressure.wait, 1))

    def _own(self) -> Progress:
        with self._database.transaction() as connection:
            return progress(connection)

    def _tell(self, waits: dict[str, float]) -> None:
        for gone in self._known - waits.keys():
            figures.WAIT_SECONDS.remove(gone)
        self._known = set(waits)
        for name, seconds in waits.items():
            figures.WAIT_SECONDS.labels(name).set(seconds)
        figures.SHEDDING.set(self._pressure.is_high)
