"""The door on a stage: real local HTTP servers as owners, and the gateway served to a client."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from services.gateway.tests.serving import Owner, Served, Watching, wait_until
from uuid_utils.compat import uuid7

from deskline_chassis.broker import Broker
from deskline_chassis.identity import generate_keys
from deskline_chassis.migrate import migrate
from deskline_chassis.postgres import Database
from deskline_chassis.runtime import Runtime
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
from deskline_gateway.domain.room import Room
from deskline_gateway.domain.rules import OWNERS
from deskline_gateway.domain.rules import Owner as Name
from deskline_gateway.domain.tokens import Token, hash_of, text_of
from deskline_gateway.ports import Tokens
from deskline_local.stack import Stack

PRIVATE, PUBLIC = generate_keys()


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
            body_seconds=1.0,
        )
        feed = None if broker is None else LiveFeed(broker, audience).run
        gateway = Served(create_gateway(Runtime("gateway"), door.pass_on, Room(in_flight)), http.close, feed)
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
