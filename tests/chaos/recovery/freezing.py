"""A service's command line whose loops can be frozen from outside, one by one, with all that they started.

`python -m tests.chaos.recovery.freezing SERVICE serve …`: while a file named like a loop lies in the folder
of CHAOS_FREEZE, that loop and the tasks that it began are not continued, as if what they wait for never came.
The product has no switch for it: the tasks are taken into hand here, before the service starts.
"""

import asyncio
import contextvars
import importlib
import os
import sys
from collections.abc import Awaitable, Coroutine, Generator
from pathlib import Path
from typing import Any

import uvloop

from deskline_chassis.loops import Beat, Run
from deskline_chassis.runtime import Runtime

FOLDER = "CHAOS_FREEZE"
LOOK_SECONDS = 0.05
_Task = asyncio.Task[Any]
LOOP: contextvars.ContextVar[str] = contextvars.ContextVar("loop", default="")


class _InHand:
    """Drives a coroutine step by step; takes none while its loop is frozen."""

    def __init__(self, inner: Coroutine[Any, Any, Any], switch: Path) -> None:
        self._inner = inner
        self._switch = switch

    def __await__(self) -> Generator[Any, Any, Any]:
        thrown: BaseException | None = None
        while True:
            while self._switch.exists():
                try:
                    yield from asyncio.sleep(LOOK_SECONDS).__await__()
                except asyncio.CancelledError as cancelled:
                    thrown = cancelled
            try:
                awaited = self._inner.send(None) if thrown is None else self._inner.throw(thrown)
            except StopIteration as done:
                return done.value
            thrown = None
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 -- handed to whom it is meant for
                thrown = error


async def _in_hand(inner: Coroutine[Any, Any, Any], switch: Path) -> Any:
    return await _InHand(inner, switch)


def _task(folder: Path, running: asyncio.AbstractEventLoop, coroutine: Any, **named: Any) -> _Task:
    context = named.get("context")
    name = (LOOP.get() if context is None else context.get(LOOP)) or ""
    taken = _in_hand(coroutine, folder / name) if name else coroutine
    return asyncio.Task(taken, loop=running, **named)


def _named(name: str, run: Run) -> Run:
    def begun(beat: Beat, stop: asyncio.Event) -> Awaitable[None]:
        # The task that keeps the loop is not frozen itself: it goes on when the loop does.
        LOOP.set(name)
        return asyncio.create_task(_whole(run, beat, stop))

    return begun


async def _whole(run: Run, beat: Beat, stop: asyncio.Event) -> None:
    await run(beat, stop)


def freeze_by(folder: Path) -> None:
    """Take the tasks of every loop of this process into hand."""
    make, add = uvloop.new_event_loop, Runtime.add

    def new_event_loop() -> asyncio.AbstractEventLoop:
        made = make()
        made.set_task_factory(lambda running, coroutine, **named: _task(folder, running, coroutine, **named))
        return made

    def add_named(self: Runtime, name: str, run: Run) -> Beat:
        return add(self, name, _named(name, run))

    uvloop.new_event_loop = new_event_loop  # type: ignore[assignment]
    Runtime.add = add_named  # type: ignore[method-assign]


def main() -> None:
    service, *arguments = sys.argv[1:]
    freeze_by(Path(os.environ[FOLDER]))
    sys.argv = [f"deskline-{service}", *arguments]
    importlib.import_module(f"deskline_{service}.main").main()


if __name__ == "__main__":
    main()
