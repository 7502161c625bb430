"""All owners with real logs and relays, and analytics between a real Kafka and a real PostgreSQL."""

import asyncio
import base64
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from deskline_analytics.consumer import KEY_OWNERS, OWNERS, READER, live_reader
from deskline_analytics.domain.models import MODELS
from deskline_analytics.projections import apply_events
from deskline_chassis.applying import Transaction
from deskline_chassis.bell import Bell
from deskline_chassis.broker import Broker
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.identity import generate_keys
from deskline_chassis.loops import Beat
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_chassis.reader import Reader
from deskline_chassis.relay import Relay
from deskline_events.facts import Fact
from deskline_local.ports import choose
from deskline_local.stack import ServiceDatabase, Stack

PARTITIONS = 3
KEK = bytes(range(32))
_numbers = itertools.count(1)


def wait_until(true: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


class Loops:
    """Runs loops of the chassis in one thread and ends them one by one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._running: dict[str, tuple[asyncio.Event, Any]] = {}

    def start(self, name: str, run: Callable[[Beat, asyncio.Event], Awaitable[None]]) -> None:
        stop = asyncio.Event()

        async def whole() -> None:
            await run(Beat(), stop)

        self._running[name] = stop, asyncio.run_coroutine_threadsafe(whole(), self._loop)

    def stop(self, name: str) -> None:
        stop, done = self._running.pop(name)
        self._loop.call_soon_threadsafe(stop.set)
        done.result(30)

    def close(self) -> None:
        for name in list(self._running):
            self.stop(name)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Owner:
    """A database with the chassis' tables alone, its log and its relay."""

    def __init__(self, stack: Stack, name: str, database: ServiceDatabase, broker: Broker) -> None:
        roles = [f"{database.name}_{role}" for role in ("runtime", "readonly")]
        migrate(database.owner_url, "deskline_events", *roles)
        self.name = name
        self.keys = KeyRing(KEK)
        self.database = Database(database.runtime_url, name)
        self.database.open()
        self.owner_url = database.owner_url
        self.bell = Bell(database.runtime_url, f"{name}-bell")
        self.log = EventLog(name, self.keys, self.bell.ring)
        self.relay = Relay(name, database.runtime_url, broker, self.bell, owns_keys=name in KEY_OWNERS)

    def append(self, events: Sequence[tuple[UUID, Fact, UUID | None]], persons: Sequence[UUID] = ()) -> None:
        correlation = uuid4()
        with self.database.transaction() as connection:
            self.log.lock(connection)
            if self.name in KEY_OWNERS:
                self.keys.register(connection, list(persons))
            self.log.append(
                connection,
                [
                    NewEvent(stream, fact, Cause(correlation, cause or uuid4()))
                    for stream, fact, cause in events
                ],
            )
        self.bell.ring()

    def count(self) -> int:
        with self.database.transaction() as connection:
            row = connection.execute("SELECT count(*) FROM events").fetchone()
        return int(row[0]) if row else 0


class Rig:
    """The whole way from the owners' logs to the read models, under a topic prefix of its own."""

    def __init__(self, stack: Stack) -> None:
        number = next(_numbers)
        self.stack = stack
        self.prefix = f"an{os.getpid()}x{number}."
        self.broker = Broker(stack.bootstrap, prefix=self.prefix, partitions=PARTITIONS)
        made = {
            name: stack.create_service_database(name, database=f"an{number}_{name}")
            for name in (*OWNERS, "analytics")
        }
        self.owners = {name: Owner(stack, name, made[name], self.broker) for name in OWNERS}
        self.analytics = made["analytics"]
        self.roles = [f"{self.analytics.name}_{role}" for role in ("runtime", "readonly")]
        migrate(self.analytics.owner_url, "deskline_analytics", *self.roles)
        self.database = Database(self.analytics.runtime_url, "analytics")
        self.database.open()
        self.private_key, self.public_key = generate_keys()
        self.loops = Loops()
        for owner in self.owners.values():
            self.loops.start(f"{owner.name} bell", owner.bell.run)
            self.loops.start(f"{owner.name} relay", owner.relay.run)

    def close(self) -> None:
        self.loops.close()
        for database in (self.database, *(owner.database for owner in self.owners.values())):
            database.close()

    def tell(self, story: Any, *, begin: int = 0, batch: int = 500) -> None:
        """Append what the story told from `begin` on; the owners' logs seal and stamp it."""
        self.owners["intake"].append([], story.contacts)
        self.owners["routing"].append([], story.operators)
        self.share_keys()
        told = [
            (name, stream, fact, story.cause_of(envelope.id))
            for (name, stream, fact), (envelope, _) in zip(story.told, story.events(), strict=True)
        ]
        for owner in self.owners.values():
            mine = [one[1:] for one in told[begin:] if one[0] == owner.name]
            for at in range(0, len(mine), batch):
                owner.append(mine[at : at + batch])

    def share_keys(self) -> None:
        """What tickets' own reader would do: know the keys that intake owns."""
        with self.owners["intake"].database.transaction() as connection:
            rows = connection.execute("SELECT subject, version, wrapped FROM person_keys").fetchall()
        with self.owners["tickets"].database.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO known_keys (subject, version, wrapped) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                rows,
            )

    def erase(self, owner: str, person: UUID) -> None:
        """Forget a person's key, as its owner does."""
        keeper = self.owners[owner]
        with keeper.database.transaction() as connection:
            keeper.log.lock(connection)
            assert keeper.keys.erase(connection, person)
        keeper.bell.ring()

    def start_reader(self) -> None:
        reader = Reader(live_reader(), self.database, KeyRing(KEK), self.broker, instance="t")
        self.loops.start("reader", reader.run)

    def stop_reader(self) -> None:
        self.loops.stop("reader")

    def applied(self) -> int:
        """Events that the live reader applied or parked."""
        (row,) = self.ask(
            "SELECT coalesce((SELECT sum(sequence) FROM reader_streams WHERE reader = %(r)s), 0)"
            " + (SELECT count(*) FROM parked_records WHERE reader = %(r)s)",
            {"r": READER},
        )
        return int(row[0])

    def wait_applied(self, seconds: float = 90.0) -> None:
        wanted = sum(owner.count() for owner in self.owners.values())
        wait_until(lambda: self.applied() == wanted, f"{wanted} events applied", seconds)

    @contextmanager
    def reading(self) -> Iterator[None]:
        self.start_reader()
        try:
            yield
        finally:
            self.stop_reader()

    def read_all(self) -> None:
        with self.reading():
            self.wait_applied()

    def ask(self, query: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(query, values).fetchall()

    def as_owner(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.analytics.owner_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all read models, in the order of their keys."""
        keys = {"daily_flow": "1, 2", "ticket_timeline": "1, 2", "ticket_documents": "1, 2"}
        keys |= {"sla_outcomes": "1, 2, 3", "operator_load": "1, 2"}
        return {name: self.ask(f"SELECT * FROM {name} ORDER BY {keys.get(name, '1')}") for name in MODELS}

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("DESKLINE_")},
            "DESKLINE_KAFKA": self.stack.bootstrap,
            "DESKLINE_TOPIC_PREFIX": self.prefix,
            "DESKLINE_PARTITIONS": str(PARTITIONS),
            "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(KEK).decode(),
            "DESKLINE_IDENTITY_PUBLIC_KEY": self.public_key,
            "DESKLINE_ANALYTICS_DATABASE_URL": self.analytics.runtime_url,
            "DESKLINE_ANALYTICS_MIGRATION_URL": self.analytics.owner_url,
            "DESKLINE_ANALYTICS_RUNTIME_ROLE": self.roles[0],
            "DESKLINE_ANALYTICS_READONLY_ROLE": self.roles[1],
            "PYTHONUNBUFFERED": "1",
            **more,
        }

    def command(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from deskline_analytics.main import main; main()", *arguments],
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.command(*arguments)
        output, _ = process.communicate(timeout=180)
        return process.returncode, output


@pytest.fixture
def rig(stack: Stack) -> Iterator[Rig]:
    made = Rig(stack)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_rig(stack: Stack) -> Iterator[Rig]:
    made = Rig(stack)
    yield made
    made.close()


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def free_port() -> int:
    return choose()


@pytest.fixture
def fill() -> Callable[[Rig, Any], Any]:
    """Put a story's events into the read models of a rig directly, whatever was there before."""

    def fill(rig: Rig, story: Any) -> Any:
        for model in MODELS:
            rig.as_owner(f"DELETE FROM {model}")
        received = [Received(e, f, Cause(e.correlation_id)) for e, f in story.events()]
        with rig.database.transaction() as connection:
            apply_events(Transaction(connection), received)
        return story

    return fill
