"""The waker: tells this process's sender that there is something to send; other processes poll."""

import asyncio
import contextlib


class Waker:
    """Rung after a commit, from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard = asyncio.Event()

    def listen(self) -> None:
        """From now on rings are heard in the running event loop."""
        self._loop = asyncio.get_running_loop()

    def ring(self) -> None:
        """There is something to send."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop may close meanwhile; the sender polls as well
                loop.call_soon_threadsafe(self._heard.set)

    async def wait(self, seconds: float) -> None:
        """Until it rang, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), seconds)
        self._heard.clear()
