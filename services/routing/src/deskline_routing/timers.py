"""Moments: due offers, presence and sweeps become commands."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg
import structlog
import uuid_utils.compat

from deskline_chassis.applying import Transaction
from deskline_chassis.deadlines import Deadline, Fire
from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.loops import Beat, Run
from deskline_chassis.postgres import is_surroundings
from deskline_routing.adapters.desk import PostgresDesk
from deskline_routing.adapters.hearing import Hearing
from deskline_routing.figures import EXTENDED
from deskline_routing.handlers import moments
from deskline_routing.ports import OpenDesk

log = structlog.get_logger(__name__)

TICK_SECONDS: Final = 1.0
LEFT_SWEEP_SECONDS: Final = 24 * 3600.0


def offer_timeouts(event_log: EventLog) -> Fire:
    """Due offers → withdrawn, where they are still open."""

    def fire(transaction: Transaction, deadlines: Sequence[Deadline], _now: datetime) -> Collection[Deadline]:
        due: dict[UUID, set[UUID]] = {}
        for deadline in deadlines:
            due.setdefault(deadline.subject, set()).add(UUID(deadline.key))
        desk = PostgresDesk(transaction.connection, event_log, transaction.after_commit)
        moments.time_out_offers(desk, due, _of_itself())
        return ()

    return fire


def presence_loop(hearing: Hearing, open_desk: OpenDesk) -> Run:
    """Each second: say that heartbeats are heard, and take offers back from whoever is out of reach."""

    def work() -> None:
        if hearing.tick():
            EXTENDED.inc()
            log.info("no heartbeat could be received for a while: everybody present got a full period")
        lost = moments.withdraw_from_lost(open_desk, _of_itself())
        if lost:
            log.info("offers withdrawn from operators out of reach", operators=lost)

    return _every(TICK_SECONDS, work)


def sweep_loop(hearing: Hearing, open_desk: OpenDesk, sweep_seconds: float) -> Run:
    """Sweeps that are due, each by one replica."""

    def work() -> None:
        if hearing.claim_sweep(moments.WAITING, sweep_seconds):
            moments.sweep_waiting(open_desk, _of_itself())
        if hearing.claim_sweep(moments.LEFT, LEFT_SWEEP_SECONDS):
            moments.sweep_left(open_desk, _of_itself())

    return _every(TICK_SECONDS, work)


def _every(seconds: float, work: Callable[[], None]) -> Run:
    async def run(beat: Beat, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await asyncio.to_thread(work)
            except (psycopg.Error, ConnectionError, TimeoutError) as error:
                if not is_surroundings(error):
                    raise
                beat.red(f"database: {type(error).__name__}")
            else:
                beat.progress()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)

    return run


def _of_itself() -> Cause:
    return Cause(uuid_utils.compat.uuid7())
