"""The process: its loops, how each of them fares, and how all of them end."""

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
import uvloop

from deskline_chassis.loops import Beat, FatalLoopError, Run
from deskline_chassis.metrics import LOOP_AGE, LOOP_RED
from deskline_chassis.telemetry import shutdown_tracing

log = structlog.get_logger(__name__)

LIVE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Loop:
    name: str
    run: Run
    beat: Beat


class Runtime:
    """Starts a service's loops, starts anew what fails, and ends them all in good order.

    Times are seconds: `stop_seconds` for the loops to end by themselves, `cancel_seconds` for those
    that had to be cancelled, `backoff` the first and the longest wait before a new start.
    """

    def __init__(
        self,
        service: str,
        *,
        stop_seconds: float = 8.0,
        cancel_seconds: float = 0.5,
        backoff: tuple[float, float] = (0.2, 5.0),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self._stop_seconds = stop_seconds
        self._cancel_seconds = cancel_seconds
        self._backoff = backoff
        self._clock = clock
        self._loops: dict[str, _Loop] = {}
        self._stop = asyncio.Event()
        self._exit_code = 0

    def add(self, name: str, run: Run) -> Beat:
        """Register a loop; raises ValueError when the name is taken. Gives the loop's beat."""
        if name in self._loops:
            raise ValueError(f"two loops named {name}")
        beat = Beat(self._clock)
        self._loops[name] = _Loop(name, run, beat)
        LOOP_RED.labels(name).set_function(lambda: 0.0 if beat.why_red() is None else 1.0)
        LOOP_AGE.labels(name).set_function(lambda: beat.age_seconds)
        return beat

    def stop(self) -> None:
        """Ask all loops to end; call it in the event loop's thread."""
        self._stop.set()

    def ready(self) -> dict[str, str]:
        """Loop → why it is red; empty means ready."""
        reasons = {name: reason for name, loop in self._loops.items() if (reason := loop.beat.why_red())}
        return reasons | {"process": "stopping"} if self._stop.is_set() else reasons

    def live(self) -> bool:
        """Whether every loop turned within a minute; a missing dependency does not count against it."""
        return all(loop.beat.turn_age_seconds <= LIVE_SECONDS for loop in self._loops.values())

    async def run(self) -> int:
        """Run the loops until a signal, `stop` or a fatal error; gives the exit code."""
        running = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, self.stop)
        tasks = [asyncio.create_task(self._keep(loop), name=loop.name) for loop in self._loops.values()]
        log.info("started", service=self.service, loops=list(self._loops))
        try:
            await self._stop.wait()
            await self._end(tasks)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                running.remove_signal_handler(number)
        log.info("stopped", service=self.service, exit_code=self._exit_code)
        return self._exit_code

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._stop_seconds)
        for task in late:
            task.cancel()
        if late:
            log.warning("loops did not end in time", loops=sorted(task.get_name() for task in late))
            await asyncio.wait(late, timeout=self._cancel_seconds)

    async def _keep(self, loop: _Loop) -> None:
        delay = self._backoff[0]
        while not self._stop.is_set():
            started_at = self._clock()
            await self._run_once(loop)
            if loop.beat.progressed_at > started_at:
                delay = self._backoff[0]
            await self._pause(delay)
            delay = min(delay * 2, self._backoff[1])

    async def _run_once(self, loop: _Loop) -> None:
        """One life of a loop; whatever it ends with but our own cancellation is told and survived."""
        try:
            await loop.run(loop.beat, self._stop)
        except FatalLoopError as fatal:
            loop.beat.red("ended for good")
            log.error("loop ended for good", loop=loop.name, reason=str(fatal), exit_code=fatal.exit_code)
            self._exit_code = self._exit_code or fatal.exit_code
            self._stop.set()
        except asyncio.CancelledError as stray:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._failed(loop, stray)
        except Exception as error:  # noqa: BLE001 -- the supervisor is where every failure is told and survived
            self._failed(loop, error)
        else:
            if not self._stop.is_set():
                loop.beat.red("ended early")
                log.warning("loop ended early", loop=loop.name)

    def _failed(self, loop: _Loop, error: BaseException) -> None:
        loop.beat.red(f"failed: {type(error).__name__}")
        log.error("loop failed", loop=loop.name, exc_info=error)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def run_service(
    runtime: Runtime, *, close_seconds: float = 1.0, hard_exit: Callable[[int], None] = os._exit
) -> int:
    """Run a service's process to its end; gives the exit code.

    What still runs `close_seconds` after the loops were ended (a task that refuses to be cancelled,
    a thread in a call that doesn't return) is left behind by `hard_exit`.
    """
    # The cyclic collector would cost more than decoding: what lives now lives to the end. Rarer rounds
    # than these were no faster, and let a service gather some MB more of what nobody refers to.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(runtime.run())
        shutdown_tracing(min(close_seconds / 2, 1.0))
        last_resort = threading.Timer(close_seconds, hard_exit, (code,))
        last_resort.daemon = True
        last_resort.start()
    last_resort.cancel()
    return code
