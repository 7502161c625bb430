"""Objects of erased messages are removed, and after a day those that a crash left behind."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from deskline_chassis.loops import Beat
from deskline_chassis.postgres import Database, is_surroundings
from deskline_intake import figures
from deskline_intake.adapters import erasure, forms, raw_messages
from deskline_intake.adapters.objects import ERRORS as OBJECT_ERRORS
from deskline_intake.adapters.objects import ObjectKeeper, unannounced

log = structlog.get_logger(__name__)

ORPHAN_AGE: Final = timedelta(hours=24)
SWEEP_SECONDS: Final = 3600.0
_TURN_SECONDS: Final = 5.0
_AT_A_TIME: Final = 100


class Sweeper:
    """Removes what was erased at once, sweeps once an hour; several replicas do one another no harm."""

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
                    await running.run_in_executor(thread, self.remove_erased, beat)
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

    def remove_erased(self, beat: Beat) -> int:
        """Remove the objects of erased messages; what can't be removed now is tried again. How many."""
        removed = 0
        while True:
            with self._database.transaction() as connection:
                due = erasure.due_removals(connection, _AT_A_TIME)
            if not due:
                return removed
            for raw_id, announced in due:
                keys = [*announced, *self._objects.of_message(raw_id)]
                self._objects.remove(keys)
                removed += len(keys)
                beat.progress()
            with self._database.transaction() as connection:
                erasure.note_removals(connection, [raw_id for raw_id, _ in due])

    def sweep(self, beat: Beat) -> int:
        """Remove what is old and nobody's; how many that were."""
        with self._database.transaction() as connection:
            forms.drop_ended_hits(connection)
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
