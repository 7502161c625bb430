"""Real HTTP on both sides of the door: applications in threads, owners that note, readers of streams."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.types import Receive, Scope, Send

from deskline_chassis.loops import Beat, Run


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        threading.Event().wait(0.02)


class Served:
    """An application behind a real port, in a thread of its own; `beside` runs in the same loop."""

    def __init__(
        self, app: Any, close: Callable[[], Awaitable[None]] | None = None, beside: Run | None = None
    ) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.beat = Beat()
        self._close = close
        self._beside = beside
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                lifespan="off",
                access_log=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listener)), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started)

    async def _serve(self, listener: socket.socket) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        running = asyncio.ensure_future(self._run_beside())
        await self._server.serve(sockets=[listener])
        self._stop.set()
        await running
        if self._close is not None:
            await self._close()

    async def _run_beside(self) -> None:
        if self._beside is not None:
            await self._beside(self.beat, self._stop)

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call in the application's loop, and give what comes back."""

        async def called() -> Any:
            return function(*arguments, **named)

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(10)

    def ask_to_stop(self) -> None:
        """What the process' loops are told at a signal; the server goes on."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()


@dataclass
class Received:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Owner:
    """An owner that notes exactly what reaches it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    body: bytes = b'{"ok":true}'
    seconds: float = 0.0
    received: list[Received] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        names = [name for name, _ in scope["headers"]]
        assert len(names) == len(set(names)), "a header came twice"
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        self.received.append(
            Received(
                scope["method"], scope["raw_path"].decode(), scope["query_string"].decode(), headers, body
            )
        )
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(self.seconds)
        given = [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": given})
        await send({"type": "http.response.body", "body": self.body})

    @property
    def last(self) -> Received:
        return self.received[-1]


class Watching:
    """A reader of server-sent events, in a thread of its own; `text` is all that came."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.text = ""
        self.status = 0
        self.headers = httpx.Headers()
        self.ended = False
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._read, args=(url, headers), daemon=True)
        self._thread.start()
        wait_until(lambda: self.status > 0)

    def _read(self, url: str, headers: dict[str, str]) -> None:
        with (
            suppress(httpx.HTTPError),
            httpx.Client(trust_env=False, timeout=60) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            self._socket = answer.extensions["network_stream"].get_extra_info("socket")
            self.headers, self.status = answer.headers, answer.status_code
            for text in answer.iter_text():
                self.text += text
        self.ended = True

    def until(self, *parts: str) -> None:
        wait_until(lambda: all(part in self.text for part in parts), 15.0)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """(kind, data) of each whole event; comments and settings are no events."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            if "data" in lines:
                found.append((lines.get("event", "message"), json.loads(lines["data"])))
        return found

    def close(self) -> None:
        # Only this wakes a thread that reads.
        with suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        assert self.ended
