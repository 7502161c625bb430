"""What arrives together is stored in one transaction; each is acknowledged after its own commit."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

from deskline_chassis.pacing import LEAST_SECONDS

GATHER_SECONDS: Final = 0.002
MOST_UNITS: Final = 64
MOST_BYTES: Final = 8 * 1024 * 1024

Unit = TypeVar("Unit")
Stored = TypeVar("Stored")


class GroupCommit(Generic[Unit, Stored]):
    """One writer thread; while it commits, the next group gathers.

    `store` says for each unit what came of it, or the error that prevented it; `size_of` is in bytes.
    """

    def __init__(
        self,
        name: str,
        store: Callable[[Sequence[Unit]], Sequence[Stored | Exception]],
        stored: Callable[[], None],
        size_of: Callable[[Unit], int],
    ) -> None:
        self._store = store
        self._stored = stored
        self._size_of = size_of
        self._waiting: list[tuple[Unit, asyncio.Future[Stored]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, name)

    @property
    def waiting(self) -> int:
        """How many units no transaction has begun for."""
        return len(self._waiting)

    def add(self, unit: Unit) -> asyncio.Future[Stored]:
        """A future that ends with the commit, or with the error that prevented it."""
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return future

    async def _flush(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        running = asyncio.get_running_loop()
        while self._waiting:
            began, group = running.time(), self._take()
            full = bool(self._waiting)
            outcomes: Sequence[Stored | Exception]
            try:
                outcomes = await running.run_in_executor(self._thread, self._store, [u for u, _ in group])
            except Exception as error:  # noqa: BLE001 -- told to every sender: they keep what they have
                outcomes = [error] * len(group)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
            if not all(isinstance(outcome, Exception) for outcome in outcomes):
                self._stored()
            if not full:
                # More comes meanwhile, and all pay for fewer commits. What comes after a pause is taken at
                # once; a client that sends one message after the other gets one through in each rest.
                await asyncio.sleep(began + LEAST_SECONDS - running.time())

    def _take(self) -> list[tuple[Unit, asyncio.Future[Stored]]]:
        size = count = 0
        for unit, _ in self._waiting[:MOST_UNITS]:
            size += self._size_of(unit)
            if count and size > MOST_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def close(self) -> None:
        """No more is stored."""
        self._thread.shutdown(wait=False, cancel_futures=True)
