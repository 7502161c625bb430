"""Erasing: what read models hold of a person in clear goes once the person's key is gone."""

import asyncio
import contextlib
from typing import Final

import structlog

from deskline_analytics.adapters.serving_lock import share_in_transaction
from deskline_analytics.projections import forget_erased
from deskline_chassis.loops import Beat, Run
from deskline_chassis.postgres import Database, is_surroundings

log = structlog.get_logger(__name__)

SWEEP_SECONDS: Final = 1.0


def forget_while_serving(database: Database) -> Run:
    """A loop that blanks what rows hold of erased persons; keys come without an event."""

    def sweep() -> int:
        with database.transaction() as connection:
            share_in_transaction(connection)
            return forget_erased(connection)

    async def run(beat: Beat, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                forgotten = await asyncio.to_thread(sweep)
            except Exception as error:
                if not is_surroundings(error):
                    raise
                beat.red(f"database: {type(error).__name__}")
            else:
                beat.progress()
                if forgotten:
                    log.info("rows of erased persons blanked", rows=forgotten)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SWEEP_SECONDS)

    return run
