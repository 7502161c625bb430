"""Objects that a crash left behind, announced by nobody, are removed after a day."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from deskline_chassis.postgres import Database, is_surroundings
from deskline_chassis.runtime import Beat
from deskline_intake import figures
from deskline_intake.adapters import raw_messages
from deskline_intake.adapters.objects import ERRORS as OBJECT_ERRORS
from deskline_intake.adapters.objects import ObjectKeeper, unannounced

log = structlog.get_logger(__name__)

ORPHAN_AGE: Final = timedelta(hours=24)
SWEEP_SECONDS: Final = 3600.0
_TURN_SECONDS: Final = 5.0


class Sweeper:
    """Sweeps once an hour; several replicas do no harm to one another."""

    def __init__(self, database: Database, objects: ObjectKeeper, age: timedelta = ORPHAN_AGE) -> None:
        self._database = database
        self._objects = objects
        self._age = age

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Sweep, and tell how many mails wait to be read."""
        running = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, "sweeper")
        due = running.time()
        try:
            while not stop.is_set():
                try:
                    await running.run_in_executor(thread, self._measure)
                    if running.time() >= due:
                        await running.run_in_executor(thread, self.sweep, beat)
                        due = running.time() + SWEEP_SECONDS
                    beat.progress()
                except Exception as error:
                    if not (is_surroundings(error) or isinstance(error, OBJECT_ERRORS)):
                        raise
                    beat.red(f"waits: {type(error).__name__}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _TURN_SECONDS)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def sweep(self, beat: Beat) -> int:
        """Remove what is old and nobody's; how many that were."""
        removed = 0
        for keys in self._objects.old(datetime.now(UTC) - self._age):
            with self._database.transaction() as connection:
                orphans = unannounced(connection, keys)
            self._objects.remove(orphans)
            removed += len(orphans)
            figures.OBJECTS_SWEPT.inc(len(orphans))
            beat.progress()
        if removed:
            log.info("orphaned objects removed", count=removed)
        return removed

    def _measure(self) -> None:
        with self._database.transaction() as connection:
            figures.BACKLOG.set(raw_messages.backlog(connection))
