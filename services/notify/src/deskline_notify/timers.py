"""The clock's door: twice a second what waited goes on and what is overdue ends."""

import asyncio
import contextlib
from typing import Final

from deskline_chassis.event_log import EventLog
from deskline_chassis.loops import Beat, Run
from deskline_chassis.postgres import Database, is_surroundings
from deskline_notify.adapters.waker import Waker
from deskline_notify.handlers.sweeping import end_overdue, let_go_on, measure
from deskline_notify.handlers.telling import Telling

SWEEP_SECONDS: Final = 0.5
MEASURE_SECONDS: Final = 5.0


def sweep(database: Database, log: EventLog, telling: Telling, waker: Waker) -> Run:
    """The loop; replicas leave one another's rows alone."""

    def turn() -> None:
        if let_go_on(database, telling):
            waker.ring()
        end_overdue(database, log)

    async def run(beat: Beat, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        measured_at = loop.time() - MEASURE_SECONDS
        while not stop.is_set():
            try:
                await asyncio.to_thread(turn)
                if loop.time() - measured_at >= MEASURE_SECONDS:
                    await asyncio.to_thread(measure, database)
                    measured_at = loop.time()
            except Exception as error:
                if not is_surroundings(error):
                    raise
                beat.red(f"database: {type(error).__name__}")
            else:
                beat.progress()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SWEEP_SECONDS)

    return run
