"""Server-sent events on the wire: one subscription told to one reader until either has enough."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from deskline_gateway.adapters.audience import Subscription
from deskline_gateway.domain.live import Notice, frame
from deskline_gateway.figures import LIVE_CUT

RETRY_MILLIS: Final = 3000
"""After how long a reader that lost its stream should come again."""

READY: Final = "ready"
RESYNC: Final = "resync"
OVERFLOW: Final = "overflow"

_HEARTBEAT: Final = b": heartbeat\n\n"


class _NotReadError(Exception):
    """The reader takes nothing, not even that it is cut off."""


class EventStream(Response):
    """Tells the subscription's notices; `held` is let go of at the end, whatever the end is.

    Times are seconds: between heartbeats, and for the reader to take what was sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        subscription: Subscription,
        held: ExitStack,
        guarded: AbstractAsyncContextManager[None],
        *,
        version: int | None,
        again: bool,
        heartbeat_seconds: float,
        send_seconds: float,
    ) -> None:
        # A proxy that collected answers would hold the news back.
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._subscription = subscription
        self._held = held
        self._guarded = guarded
        self._version = version
        self._again = again
        self._heartbeat_seconds = heartbeat_seconds
        self._send_seconds = send_seconds
        self._number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        with self._held:
            async with self._guarded:
                telling = asyncio.create_task(self._tell(send))
                leaving = asyncio.create_task(_until_gone(receive))
                try:
                    await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
                    if telling.done():
                        telling.result()
                except _NotReadError:
                    # The answer stays incomplete, upon which the server closes the connection.
                    LIVE_CUT.inc()
                finally:
                    for task in (telling, leaving):
                        task.cancel()
                    await asyncio.gather(telling, leaving, return_exceptions=True)

    async def _tell(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        first = self._frame(Notice(self._subscription.ticket, self._version, self._first), self._first)
        await self._send(send, f"retry: {RETRY_MILLIS}\n\n".encode() + first)
        beat_at = time.monotonic() + self._heartbeat_seconds
        while not self._subscription.over:
            await self._subscription.wait(beat_at - time.monotonic())
            told = self._news()
            if time.monotonic() >= beat_at:
                told += _HEARTBEAT
                beat_at = time.monotonic() + self._heartbeat_seconds
            if told:
                await self._send(send, told)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @property
    def _first(self) -> str:
        # What a returning reader missed is known to nobody: it has to ask anew.
        return RESYNC if self._again else READY

    def _news(self) -> bytes:
        one = self._subscription
        notices, missed = one.take(), one.missed
        one.missed = False
        if one.overflowed:
            one.end()
            return self._frame(Notice(one.ticket, None, OVERFLOW), OVERFLOW)
        resync = self._frame(Notice(one.ticket, None, RESYNC), RESYNC) if missed else b""
        return resync + b"".join(self._frame(notice) for notice in notices)

    def _frame(self, notice: Notice, kind: str | None = None) -> bytes:
        self._number += 1
        return frame(self._number, notice, kind)

    async def _send(self, send: Send, body: bytes) -> None:
        try:
            async with asyncio.timeout(self._send_seconds):
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except TimeoutError:
            raise _NotReadError from None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
