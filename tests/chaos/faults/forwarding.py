"""One connection through a proxy: two directions, each in its order, disturbed as the proxy says."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Final

CHUNK: Final = 64 * 1024
HELD_BYTES: Final = 1024 * 1024
"""On their way in one direction of one connection; whoever sends more waits."""

CONNECT_SECONDS: Final = 5.0
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass
class Disturbance:
    """What a proxy does to all its connections at present, and what came of it."""

    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    latency: float = 0.0
    cut_after: int | None = None
    resets: int = 0
    forwarded: int = 0


class _Way:
    """What was read in one direction and is not written yet, each piece with the moment when it is due."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._held = 0
        self._room = asyncio.Event()
        self._room.set()

    async def room(self) -> None:
        await self._room.wait()

    def put(self, due: float, data: bytes) -> None:
        self._held += len(data)
        if self._held >= HELD_BYTES:
            self._room.clear()
        self._pieces.put_nowait((due, data))

    async def get(self) -> tuple[float, bytes]:
        due, data = await self._pieces.get()
        self._held -= len(data)
        if self._held < HELD_BYTES:
            self._room.set()
        return due, data


class Connection:
    """A client's connection and ours to the target, which end together."""

    def __init__(self, client: socket.socket, target: tuple[str, int], disturbance: Disturbance) -> None:
        self._client = client
        self._target = target
        self._disturbance = disturbance
        self._writers: list[asyncio.StreamWriter] = []
        self._cut_at = disturbance.cut_after
        self._carried = 0

    def cut_after(self, more: int | None) -> None:
        """Break off when it carries more than so many bytes from now on; None: not at all."""
        self._cut_at = None if more is None else self._carried + more

    async def serve(self) -> None:
        """Forward until both sides have ended; cancelled, it ends both with a reset."""
        try:
            await self._carry()
        except OSError:
            # One side refused or went away without taking leave: the other learns it in the same way.
            self._reset()
        except asyncio.CancelledError:
            self._reset()
            raise
        finally:
            await self._close()

    async def _carry(self) -> None:
        from_client, to_client = await asyncio.open_connection(sock=self._client, limit=CHUNK)
        self._writers.append(to_client)
        await self._disturbance.flowing.wait()
        async with asyncio.timeout(CONNECT_SECONDS):
            from_target, to_target = await asyncio.open_connection(*self._target, limit=CHUNK)
        self._writers.append(to_target)
        up, down = _Way(), _Way()
        halves = [
            asyncio.create_task(half)
            for half in (
                self._take(from_client, up),
                self._give(up, to_target),
                self._take(from_target, down),
                self._give(down, to_client),
            )
        ]
        try:
            await asyncio.gather(*halves)
        finally:
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, way: _Way) -> None:
        loop = asyncio.get_running_loop()
        data = b"?"
        while data:
            await way.room()
            data = await reader.read(CHUNK)
            way.put(loop.time() + self._disturbance.latency, data)

    async def _give(self, way: _Way, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await way.get()
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            await self._disturbance.flowing.wait()
            if writer.is_closing():
                raise ConnectionResetError
            if not data:
                writer.write_eof()
                return
            passing = self._passing(len(data))
            writer.write(data[:passing])
            await writer.drain()
            self._carried += passing
            self._disturbance.forwarded += passing
            if passing < len(data):
                self._disturbance.resets += 1
                raise ConnectionResetError

    def _passing(self, size: int) -> int:
        """How much of a piece goes on; where it is cut, something is left over and something was sent."""
        if self._cut_at is None or self._carried + size <= self._cut_at or size == 1:
            return size
        return min(max(self._cut_at - self._carried, size // 2), size - 1)

    def _reset(self) -> None:
        for writer in self._writers:
            if writer.is_closing():
                continue
            held: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()

    async def _close(self) -> None:
        if not self._writers:
            self._client.close()
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
