"""Mails that arrive together are stored in one transaction; each is acknowledged after its own commit."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from deskline_intake.adapters.raw_messages import Unit

GATHER_SECONDS: Final = 0.002
MOST_UNITS: Final = 64
MOST_BYTES: Final = 8 * 1024 * 1024

Store = Callable[[Sequence[Unit]], list[Exception | None]]


class GroupCommit:
    """One writer thread; while it commits, the next group gathers."""

    def __init__(self, store: Store, stored: Callable[[], None]) -> None:
        self._store = store
        self._stored = stored
        self._waiting: list[tuple[Unit, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "mail-store")

    def add(self, unit: Unit) -> asyncio.Future[None]:
        """A future that ends with the commit, or with the error that prevented it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return future

    async def _flush(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        running = asyncio.get_running_loop()
        while self._waiting:
            group = self._take()
            outcomes: list[Exception | None]
            try:
                outcomes = await running.run_in_executor(self._thread, self._store, [u for u, _ in group])
            except Exception as error:  # noqa: BLE001 -- told to every sender: they keep their mail
                outcomes = [error] * len(group)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.done():
                    continue
                if outcome is None:
                    future.set_result(None)
                else:
                    future.set_exception(outcome)
            if None in outcomes:
                self._stored()

    def _take(self) -> list[tuple[Unit, asyncio.Future[None]]]:
        size = count = 0
        for unit, _ in self._waiting[:MOST_UNITS]:
            size += sum(mail.size for mail in unit)
            if count and size > MOST_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def close(self) -> None:
        """No more is stored."""
        self._thread.shutdown(wait=False, cancel_futures=True)
