"""The process: readiness, liveness, restarts, and an end in good order within its time."""

import asyncio
import gc
import inspect
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deskline_chassis.loops import Beat, FatalLoopError
from deskline_chassis.metrics import render
from deskline_chassis.runtime import Runtime, run_service

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def until_stopped(beat: Beat, stop: asyncio.Event) -> None:
    beat.progress()
    await stop.wait()


def quick(**settings: Any) -> Runtime:
    short: dict[str, Any] = {"stop_seconds": 0.1, "cancel_seconds": 0.1, "backoff": (0.001, 0.004)}
    return Runtime("planets", **(short | settings))


def test_loop_is_red_until_its_first_progress() -> None:
    runtime = Runtime("planets")
    beat = runtime.add("orbit", until_stopped)
    assert runtime.ready() == {"orbit": "starting"}
    beat.progress()
    assert runtime.ready() == {}


def test_readiness_is_red_when_a_heartbeat_is_older_than_15_s() -> None:
    clock = Clock()
    runtime = Runtime("planets", clock=clock)
    orbit, moon = runtime.add("orbit", until_stopped), runtime.add("moon", until_stopped)
    orbit.progress()
    clock.now += 15
    moon.progress()
    assert runtime.ready() == {}
    clock.now += 0.5
    assert runtime.ready() == {"orbit": "no progress for 16 s"}
    assert b'deskline_loop_red{loop="orbit"} 1.0' in render()[0]
    assert b'deskline_loop_red{loop="moon"} 0.0' in render()[0]
    assert b'deskline_loop_progress_age_seconds{loop="orbit"} 15.5' in render()[0]
    assert b'deskline_loop_progress_age_seconds{loop="moon"} 0.5' in render()[0]
    orbit.progress()
    assert runtime.ready() == {}


def test_missing_dependency_is_red_at_once_and_cleared_by_progress() -> None:
    beat = Beat(Clock())
    beat.progress()
    beat.red("database: OperationalError")
    assert beat.why_red() == beat.reason == "database: OperationalError"
    beat.progress()
    assert beat.why_red() is None


def test_waiting_loop_is_alive_but_not_ready() -> None:
    clock = Clock()
    runtime = Runtime("planets", clock=clock)
    beat = runtime.add("orbit", until_stopped)
    beat.progress()
    for _ in range(10):
        clock.now += 30
        beat.alive()
    assert runtime.live()
    assert runtime.ready() == {"orbit": "no progress for 300 s"}
    assert (beat.age_seconds, beat.turn_age_seconds) == (300, 0)


def test_missing_dependency_never_counts_against_liveness() -> None:
    clock = Clock()
    runtime = Runtime("planets", clock=clock)
    beat = runtime.add("orbit", until_stopped)
    for _ in range(100):
        clock.now += 5
        beat.red("broker")
    assert runtime.live()


def test_loop_that_stands_still_for_a_minute_is_not_live() -> None:
    clock = Clock()
    runtime = Runtime("planets", clock=clock)
    runtime.add("orbit", until_stopped)
    clock.now += 60
    assert runtime.live()
    clock.now += 0.1
    assert not runtime.live()


def test_two_loops_of_one_name_are_refused() -> None:
    runtime = Runtime("planets")
    runtime.add("orbit", until_stopped)
    with pytest.raises(ValueError, match="orbit"):
        runtime.add("orbit", until_stopped)


async def _failing_loop_is_restarted() -> None:
    runtime = quick()
    lives = 0

    async def orbit(beat: Beat, stop: asyncio.Event) -> None:
        nonlocal lives
        lives += 1
        if lives < 4:
            raise ConnectionError("away")
        if lives == 4:
            return
        if lives == 5:
            raise asyncio.CancelledError
        beat.progress()
        runtime.stop()

    beat = runtime.add("orbit", orbit)
    assert await runtime.run() == 0
    assert lives == 6
    assert beat.reason is None


def test_failing_ending_and_stray_cancelled_loops_are_restarted() -> None:
    asyncio.run(_failing_loop_is_restarted())


def test_failed_loop_is_red_by_the_type_of_its_error_only() -> None:
    async def scenario() -> dict[str, str]:
        runtime = quick(backoff=(60, 60))

        async def orbit(beat: Beat, stop: asyncio.Event) -> None:
            raise ConnectionError("canary-7b1e")

        runtime.add("orbit", orbit)
        running = asyncio.create_task(runtime.run())
        asyncio.get_running_loop().call_later(0.02, runtime.stop)
        await running
        return runtime.ready()

    assert asyncio.run(scenario()) == {"orbit": "failed: ConnectionError", "process": "stopping"}


def test_backoff_doubles_to_its_limit_and_starts_anew_after_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    async def scenario() -> None:
        clock = Clock()
        runtime = quick(backoff=(0.2, 5.0), clock=clock)
        lives = 0

        async def pause(seconds: float) -> None:
            waits.append(seconds)

        monkeypatch.setattr(runtime, "_pause", pause)

        async def orbit(beat: Beat, stop: asyncio.Event) -> None:
            nonlocal lives
            lives += 1
            clock.now += 1
            if lives == 8:
                beat.progress()
            if lives == 10:
                runtime.stop()
            raise ConnectionError

        runtime.add("orbit", orbit)
        await runtime.run()

    asyncio.run(scenario())
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.2, 0.4, 0.8]


def test_fatal_error_stops_the_others_and_gives_its_code() -> None:
    async def scenario() -> tuple[int, bool]:
        runtime = quick()
        ended = False

        async def moon(beat: Beat, stop: asyncio.Event) -> None:
            nonlocal ended
            await stop.wait()
            ended = True

        async def orbit(beat: Beat, stop: asyncio.Event) -> None:
            raise FatalLoopError(7, "fenced")

        runtime.add("moon", moon)
        runtime.add("orbit", orbit)
        return await runtime.run(), ended

    assert asyncio.run(scenario()) == (7, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_in_good_order(number: signal.Signals) -> None:
    async def scenario() -> tuple[int, dict[str, str]]:
        runtime = quick()

        async def orbit(beat: Beat, stop: asyncio.Event) -> None:
            beat.progress()
            os.kill(os.getpid(), number)
            await stop.wait()

        runtime.add("orbit", orbit)
        return await runtime.run(), runtime.ready()

    assert asyncio.run(scenario()) == (0, {"process": "stopping"})


def test_defaults_stop_within_10_s() -> None:
    runtime = Runtime("planets")
    closing = inspect.signature(run_service).parameters["close_seconds"].default
    assert runtime._stop_seconds == 8
    assert runtime._stop_seconds + runtime._cancel_seconds + 1.5 * closing <= 10


def test_stuck_loop_is_cancelled_and_one_that_refuses_that_is_left() -> None:
    async def scenario() -> tuple[float, list[str]]:
        runtime = quick()
        seen: list[str] = []
        release = asyncio.Event()

        async def stuck(beat: Beat, stop: asyncio.Event) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("cancelled")

        async def stubborn(beat: Beat, stop: asyncio.Event) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    seen.append("refused")

        runtime.add("stuck", stuck)
        runtime.add("stubborn", stubborn)
        asyncio.get_running_loop().call_later(0.01, runtime.stop)
        started = time.monotonic()
        await runtime.run()
        took = time.monotonic() - started
        release.set()
        return took, sorted(seen)

    took, seen = asyncio.run(scenario())
    assert seen == ["cancelled", "refused"]
    assert took < 1


@pytest.fixture
def collector() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_service_runs_on_uvloop_with_a_quiet_collector(collector: None) -> None:
    runtime = quick()
    seen = []

    async def orbit(beat: Beat, stop: asyncio.Event) -> None:
        seen.extend(
            [type(asyncio.get_running_loop()).__module__, gc.get_threshold(), gc.get_freeze_count() > 0]
        )
        runtime.stop()

    runtime.add("orbit", orbit)
    assert run_service(runtime) == 0
    assert seen == ["uvloop", (10_000, 20, 50), True]


def test_thread_that_does_not_return_is_left_behind(collector: None) -> None:
    runtime = quick()
    release = threading.Event()
    codes = []

    def hard_exit(code: int) -> None:
        codes.append(code)
        release.set()

    async def orbit(beat: Beat, stop: asyncio.Event) -> None:
        runtime.stop()
        await asyncio.to_thread(release.wait)

    runtime.add("orbit", orbit)
    assert run_service(runtime, close_seconds=0.05, hard_exit=hard_exit) == 0
    assert codes == [0]
