"""Due moments become commands: steps of clocks, and what is to be done from time to time."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog

from deskline_chassis.applying import Transaction
from deskline_chassis.deadlines import Deadline, Fire
from deskline_chassis.loops import Beat, Run
from deskline_chassis.postgres import is_surroundings
from deskline_sla.adapters.clock_desk import Desks
from deskline_sla.domain.steps import STEP_KIND
from deskline_sla.handlers.firing import Alarms, fire_steps
from deskline_sla.handlers.recalculating import recalculate_some
from deskline_sla.handlers.rules import seed

log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 1.0


def fires_of(desks: Desks) -> Mapping[str, Fire]:
    """What is done about each kind of deadline."""
    alarms = Alarms()

    def fire(transaction: Transaction, due: Sequence[Deadline], now: datetime) -> Collection[Deadline]:
        return fire_steps(desks.within(transaction), due, now, alarms)

    return {STEP_KIND: fire}


def keep_rules(desks: Desks) -> Run:
    """A loop: puts what is to be there from the beginning, then applies changed rules to open clocks."""

    def work() -> None:
        while recalculate_some(desks.open):
            pass

    return _repeat(lambda: seed(desks.open), work)


def _repeat(first: Callable[[], None], again: Callable[[], None]) -> Run:
    async def run(beat: Beat, stop: asyncio.Event) -> None:
        pending = first
        while not stop.is_set():
            try:
                await asyncio.to_thread(pending)
            except Exception as error:
                if not is_surroundings(error):
                    raise
                beat.red(f"database: {type(error).__name__}")
                log.warning("rules could not be kept", cause=type(error).__name__)
            else:
                beat.progress()
                pending = again
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)

    return run
