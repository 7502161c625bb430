"""The door on a stage: real local HTTP servers as owners, and the gateway served to a client."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uuid_utils.compat import uuid7

from deskline_chassis.broker import Broker
from deskline_chassis.identity import generate_keys
from deskline_chassis.migrate import migrate
from deskline_chassis.postgres import Database
from deskline_chassis.runtime import Beat, Run, Runtime
from deskline_gateway.adapters.audience import Audience
from deskline_gateway.adapters.live_feed import LiveFeed
from deskline_gateway.adapters.owners import HttpOwners
from deskline_gateway.adapters.token_cache import TokenCache
from deskline_gateway.adapters.token_table import TokenTable
from deskline_gateway.api.admission import Admission
from deskline_gateway.api.asking import Asking
from deskline_gateway.api.door import Door
from deskline_gateway.api.live_views import LiveViews
from deskline_gateway.api.routes import create_gateway
from deskline_gateway.domain.addresses import Network
from deskline_gateway.domain.limits import Limits, Rate
from deskline_gateway.domain.rules import OWNERS
from deskline_gateway.domain.rules import Owner as Name
from deskline_gateway.domain.tokens import Token, hash_of, text_of
from deskline_gateway.ports import Tokens
from deskline_local.stack import Stack

PRIVATE, PUBLIC = generate_keys()


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


class Clock:
    """Seconds that a test can let pass, on top of those that do; held, only those."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._held: float | None = None

    def __call__(self) -> float:
        return (time.monotonic() if self._held is None else self._held) + self.ahead

    def hold(self) -> None:
        self._held = time.monotonic()

    def release(self) -> None:
        self._held = None


class MemoryTokens:
    """The port of tokens for tests that are not about the database."""

    def __init__(self) -> None:
        self.kept: dict[UUID, Token] = {}
        self.found: list[UUID] = []
        self.noted: list[UUID] = []

    def find(self, token_id: UUID) -> Token | None:
        self.found.append(token_id)
        return self.kept.get(token_id)

    def add(self, token: Token) -> None:
        self.kept[token.id] = token

    def every(self) -> list[Token]:
        return list(self.kept.values())

    def revoke(self, token_id: UUID, now: datetime) -> bool:
        raise NotImplementedError

    def note_use(self, token_id: UUID, day: Any) -> None:
        self.noted.append(token_id)


SECRET = bytes(range(32))
UNLIMITED = Limits(*[Rate(1e6, 100_000)] * 3)


def new_token(*roles: str, **given: Any) -> tuple[Token, str]:
    """A token and its text."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "id": uuid7(),
        "actor_id": uuid7(),
        "roles": frozenset(roles or ("operator",)),
        "scope": "all",
        "hash": hash_of(SECRET),
        "label": "test",
        "created_at": now,
        "expires_at": now + timedelta(days=1),
    }
    token = Token(**fields | given)
    return token, text_of(token.id, SECRET)


@dataclass
class World:
    """The served gateway between a client and its owners."""

    tokens: Tokens
    played: dict[str, Owner]
    gateway: Served
    owners: dict[str, Served]
    door: Door
    audience: Audience
    clock: Clock
    public_key: str = PUBLIC

    @property
    def tickets(self) -> Owner:
        return self.played["tickets"]

    @property
    def analytics(self) -> Owner:
        return self.played["analytics"]

    def token(self, *roles: str, **given: Any) -> str:
        token, text = new_token(*roles, **given)
        self.tokens.add(token)
        return text

    def ask(self, method: str, path: str, token: str | None = None, **given: Any) -> httpx.Response:
        headers = httpx.Headers(given.pop("headers", None))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = httpx.URL(self.gateway.url).copy_with(raw_path=path.encode("latin-1"))
        with httpx.Client(trust_env=False, timeout=15) as client:
            return client.request(method, url, headers=headers, **given)

    @property
    def reached(self) -> int:
        return sum(len(owner.received) for owner in self.played.values())

    def watch(self, path: str, token: str, **headers: str) -> "Watching":
        return Watching(self.gateway.url + path, {"Authorization": f"Bearer {token}"} | headers)


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


class Stage:
    """Opens worlds and closes them all."""

    def __init__(self) -> None:
        self._closing: list[Served] = []

    def open(
        self,
        tokens: Tokens,
        *,
        total_seconds: float = 10.0,
        in_flight: int = 50,
        limits: Limits = UNLIMITED,
        proxies: tuple[Network, ...] = (),
        streams: tuple[int, int] = (50, 50),
        live: dict[str, float] | None = None,
        urls: dict[Name, str] | None = None,
        broker: Broker | None = None,
    ) -> World:
        clock = Clock()
        played: dict[str, Owner] = {name: Owner() for name in OWNERS}
        owners: dict[str, Served] = {name: Served(owner) for name, owner in played.items()}
        http = HttpOwners(
            {name: owners[name].url for name in OWNERS} | (urls or {}),
            connections=in_flight,
            total_seconds=total_seconds,
        )
        admission = Admission(TokenCache(tokens, clock), limits, proxies, clock)
        asking = Asking(http, PRIVATE)
        audience = Audience(most=streams[0], most_per_token=streams[1])
        door = Door(
            admission,
            asking,
            LiveViews(audience, admission, asking, **(live or {})),
            in_flight,
            body_seconds=1.0,
        )
        feed = None if broker is None else LiveFeed(broker, audience).run
        gateway = Served(create_gateway(Runtime("gateway"), door.pass_on), http.close, feed)
        self._closing += [gateway, *owners.values()]
        return World(tokens, played, gateway, owners, door, audience, clock)

    def close(self) -> None:
        for served in self._closing:
            served.stop()


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def world(stage: Stage) -> World:
    """A gateway whose tokens are in memory; its HTTP is real on both sides."""
    return stage.open(MemoryTokens())


@pytest.fixture(scope="module")
def lasting() -> Iterator[World]:
    """A world for many cases of one module, which put right what they change."""
    stage = Stage()
    yield stage.open(MemoryTokens())
    stage.close()


@pytest.fixture(scope="session")
def urls(stack: Stack) -> SimpleNamespace:
    """The migrated database of the gateway."""
    made = stack.create_service_database("gateway", "gateway_tests")
    names = SimpleNamespace(
        owner=made.owner_url, runtime=made.runtime_url, readonly=made.readonly_url, database=made.name
    )
    roles = [_user(made.runtime_url), _user(made.readonly_url)]
    migrate(made.owner_url, "deskline_gateway", *roles)
    names.runtime_role, names.readonly_role = roles
    return names


@pytest.fixture
def database(urls: SimpleNamespace) -> Iterator[Database]:
    database = Database(urls.runtime, "gateway-tests", size=4)
    database.open()
    yield database
    database.close()


@pytest.fixture
def real(stage: Stage, database: Database) -> World:
    """A gateway whose tokens are in PostgreSQL."""
    return stage.open(TokenTable(database))


@pytest.fixture
def make_token() -> Callable[..., tuple[Token, str]]:
    return new_token


@pytest.fixture
def watch() -> Iterator[Callable[[str, str], Watching]]:
    """Readers of server-sent events of a URL with a token, closed at the end."""
    watching: list[Watching] = []

    def watch(url: str, token: str) -> Watching:
        watching.append(Watching(url, {"Authorization": f"Bearer {token}"}))
        return watching[-1]

    yield watch
    for one in watching:
        one.close()


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def memory() -> MemoryTokens:
    return MemoryTokens()


@pytest.fixture
def keys() -> tuple[str, str]:
    return PRIVATE, PUBLIC


def _user(url: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(url)["user"])
