"""What the door looks after by itself: whether it can let anybody in, and whom it can reach."""

import asyncio
from typing import Final

import psycopg
from anyio import to_thread

from deskline_chassis.loops import Beat, Run
from deskline_chassis.postgres import Database
from deskline_gateway.domain.rules import OWNERS
from deskline_gateway.figures import OWNER_UP
from deskline_gateway.ports import Owners

INTERVAL_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 3.0


def watch_upstreams(database: Database, owners: Owners, interval_seconds: float = INTERVAL_SECONDS) -> Run:
    """A loop that is red while tokens can't be asked, and counts owners that are away.

    An owner that is away does not turn readiness red: all gateways would leave the balancer at once, and
    the routes of the other owners, and the clear 503 of this one, with them.
    """

    async def run(beat: Beat, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await to_thread.run_sync(_ask_tokens, database, abandon_on_cancel=True)
            except (psycopg.Error, TimeoutError):
                beat.red("database")
            else:
                beat.progress()
            found = await asyncio.gather(*(owners.reachable(owner) for owner in OWNERS))
            for owner, is_up in zip(OWNERS, found, strict=True):
                OWNER_UP.labels(owner).set(is_up)
            await _pause(stop, interval_seconds)

    return run


def _ask_tokens(database: Database) -> None:
    # The table itself, not SELECT 1: a database that was not migrated lets nobody in either.
    with database.transaction() as connection:
        connection.execute("SELECT FROM tokens LIMIT 1")


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
