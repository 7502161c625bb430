"""A TCP proxy on a link of ours: it cuts, stands still, delays, and breaks off in the middle of a frame."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import uvloop
from tests.chaos.faults.forwarding import Connection, Disturbance

from deskline_local.ports import HOST, choose

ANSWER_SECONDS: Final = 30.0
BACKLOG: Final = 128


class NotInTimeError(Exception):
    """The proxy's thread does not run, or did not do what it was asked for."""


class Proxy:
    """Stands on 127.0.0.1 before `target`; callable from any thread, and what is called has effect on return.

    `connections` counts those that were accepted, `resets` those that it broke on purpose, `forwarded` the
    bytes of both directions. Its port lies below the range of outgoing connections and stays its own while
    it is cut.
    """

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self.target = target
        self.port = port or choose()
        self.connections = 0
        self._disturbance = Disturbance()
        self._disturbance.flowing.set()
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._holder: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()
        self._thread: threading.Thread | None = None

    @property
    def resets(self) -> int:
        """Connections that were broken by `cut` and `cut_in_frame`."""
        return self._disturbance.resets

    @property
    def forwarded(self) -> int:
        """Bytes that went through, both directions together."""
        return self._disturbance.forwarded

    def start(self) -> None:
        """Listen; raises OSError where the port is taken."""
        # It keeps the port for us while nobody listens on it.
        self._holder = _bound(self.port)
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name=f"proxy {self.port}", daemon=True
        )
        self._thread.start()
        if not started.wait(ANSWER_SECONDS):
            raise NotInTimeError(f"the proxy on port {self.port} did not start")

    def stop(self) -> None:
        """Break what is open, and listen no more; a second time does nothing."""
        if self._thread is None or self._loop is None or self._holder is None:
            return
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(ANSWER_SECONDS)
        if self._thread.is_alive():
            raise NotInTimeError(f"the proxy on port {self.port} did not end")
        self._holder.close()
        self._thread = self._loop = self._holder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def cut(self) -> None:
        """Reset every connection, and refuse new ones until `heal`."""
        self._do(self._cut)

    def half_open(self) -> None:
        """Nothing goes through any more and nobody is told; new connections stand still; until `heal`."""

        async def stand_still() -> None:
            self._disturbance.flowing.clear()

        self._do(stand_still)

    def delay(self, seconds: float) -> None:
        """What comes from now on arrives so much later, in both directions and in its order; until `heal`."""

        async def slow_down() -> None:
            self._disturbance.latency = seconds

        self._do(slow_down)

    def cut_in_frame(self, after: int) -> None:
        """Reset each connection that carries more than `after` bytes from now on, amid them; until `heal`."""

        async def arm() -> None:
            self._disturbance.cut_after = after
            for connection in self._open:
                connection.cut_after(after)

        self._do(arm)

    def heal(self) -> None:
        """All of it is over; what stood still goes on."""
        self._do(self._heal)

    def _do(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._loop is None:
            raise NotInTimeError(f"the proxy on port {self.port} does not run")
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(ANSWER_SECONDS)

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._listen()
        started.set()
        await self._end.wait()
        await self._cut()

    def _listen(self) -> None:
        listener = _bound(self.port)
        listener.listen(BACKLOG)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                client, _ = await loop.sock_accept(listener)
                self.connections += 1
                connection = Connection(client, self.target, self._disturbance)
                task = loop.create_task(connection.serve())
                self._open[connection] = task
                task.add_done_callback(partial(self._served, connection))

    def _served(self, connection: Connection, task: asyncio.Task[None]) -> None:
        del self._open[connection]
        if not task.cancelled():
            task.result()

    async def _cut(self) -> None:
        broken = list(self._open.values())
        self._disturbance.resets += len(broken)
        ending = [*broken, self._accepting] if self._accepting is not None else broken
        self._accepting = None
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _heal(self) -> None:
        self._disturbance.latency = 0.0
        self._disturbance.cut_after = None
        for connection in self._open:
            connection.cut_after(None)
        self._disturbance.flowing.set()
        if self._accepting is None:
            self._listen()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    try:
        # Two sockets of ours may have it, and nobody else.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.setblocking(False)
        made.bind((HOST, port))
    except OSError:
        made.close()
        raise
    return made
