"""A notify database, a desk that is told facts, and a provider that takes mails or doesn't."""

import asyncio
import base64
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from services.notify.tests.facts import Facts
from services.notify.tests.post import Post

from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.loops import Beat
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing, learn_keys
from deskline_chassis.postgres import Database
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Fact
from deskline_events.keys import PersonKeys
from deskline_events.sla import SlaBreached, SlaWarned
from deskline_local.databases import ServiceDatabase
from deskline_local.stack import Stack
from deskline_notify.adapters.smtp import Provider, SmtpConnection
from deskline_notify.adapters.waker import Waker
from deskline_notify.channels.email import EmailChannel
from deskline_notify.channels.errands import Sending
from deskline_notify.consumer import READER, reader_of
from deskline_notify.handlers import sweeping
from deskline_notify.handlers.telling import Telling
from deskline_notify.handlers.writing import House

KEK = b"k" * 32
DOMAIN = "desk.example"


def wait_until(true: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@dataclass
class People:
    """Persons with keys, as their owners announce them."""

    wrapped: dict[UUID, str] = field(default_factory=dict)

    def new(self) -> UUID:
        person = uuid4()
        self.wrapped[person] = base64.b64encode(aes_key_wrap(KEK, os.urandom(32))).decode()
        return person

    def keys(self, person: UUID, *, erased: bool = False) -> PersonKeys:
        if erased:
            return PersonKeys(subject=person, keys={}, erased_at=datetime.now(UTC))
        return PersonKeys(subject=person, keys={1: self.wrapped[person]})


class Desk:
    """What one replica of the service is made of, without its loops."""

    def __init__(self, base: ServiceDatabase, people: People, **given: Any) -> None:
        self.base = base
        self.people = people
        self.database = Database(base.runtime_url, "notify-test", size=10)
        self.database.open()
        self.keys = KeyRing(KEK)
        self.rings = 0
        self.log = EventLog("notify", self.keys, self._ring)
        self.waker = Waker()
        since = given.get("since", datetime.now(UTC) - timedelta(days=30))
        self.telling = Telling(given.get("reader", READER), self.keys, DOMAIN, since)
        self.house = House(self.keys, DOMAIN, f"desk@{DOMAIN}", ZoneInfo("UTC"), b"x" * 32)
        self.spec = reader_of(self.telling, self.waker.ring)
        self._sequences: Counter[tuple[str, UUID]] = Counter()

    def _ring(self) -> None:
        self.rings += 1

    def close(self) -> None:
        self.database.close()

    def person(self) -> UUID:
        person = self.people.new()
        self._learn(self.people.keys(person))
        return person

    def erase(self, person: UUID) -> None:
        self._learn(self.people.keys(person, erased=True))

    def _learn(self, keys: PersonKeys) -> None:
        with self.database.transaction() as connection:
            learn_keys(connection, [keys])

    def customer(self, address: str | None = "ivan@client.example") -> UUID:
        person = self.person()
        self.take(self.envelope("intake", person, Facts.registered(person, address)))
        return person

    def operator(self, address: str = "anna@brand.example", **given: Any) -> UUID:
        person = self.person()
        self.take(self.envelope("routing", person, Facts.operator(person, address, **given)))
        return person

    def envelope(
        self, owner: str, stream: UUID, fact: Fact, age: timedelta = timedelta()
    ) -> tuple[Envelope, Fact]:
        self._sequences[owner, stream] += 1
        number = self._sequences[owner, stream]
        identity = event_id(source_of(owner), stream, number, 1)
        at = datetime.now(UTC) - age
        return Envelope(identity, source_of(owner), fact.TYPE, at, stream, number, uuid4(), None, 1, 1), fact

    def tell(self, ticket_id: UUID, *facts: Fact, age: timedelta = timedelta()) -> list[UUID]:
        """Facts of a ticket, by tickets or sla, in one batch; their ids."""
        told = [
            self.envelope(
                "sla" if isinstance(fact, SlaWarned | SlaBreached) else "tickets", ticket_id, fact, age
            )
            for fact in facts
        ]
        self.take(*told)
        return [envelope.id for envelope, _ in told]

    def take(self, *told: tuple[Envelope, Fact]) -> None:
        """Deliver a batch in one transaction."""
        received = [
            Received(envelope, fact, Cause(envelope.correlation_id, envelope.id)) for envelope, fact in told
        ]
        with self.database.transaction() as connection:
            transaction = Transaction(connection)
            self.spec.apply(transaction, received)
        for follow in transaction.after_commit:
            follow()

    def ticket(self, contact_id: UUID, **given: Any) -> UUID:
        ticket_id = uuid4()
        self.tell(ticket_id, Facts.opened(contact_id, **given))
        return ticket_id

    def sweep(self) -> None:
        sweeping.let_go_on(self.database, self.telling)
        sweeping.end_overdue(self.database, self.log)
        sweeping.measure(self.database)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement, values or None).fetchall()

    def as_owner(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.base.owner_url) as connection:
            connection.execute(statement, values or None)

    def states(self, ticket_id: UUID) -> list[tuple[str, str, str | None]]:
        return self.rows(
            "SELECT kind, state, reason FROM notifications WHERE ticket_id = %s ORDER BY place", ticket_id
        )

    def events(self, ticket_id: UUID) -> list[tuple[str, dict[str, Any]]]:
        listed = self.rows("SELECT type, data FROM events WHERE stream = %s ORDER BY sequence", ticket_id)
        return [(kind.split(".")[2], data) for kind, data in listed]

    def dump(self) -> str:
        """All rows of all tables, as text."""
        with psycopg.connect(self.base.owner_url) as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename <> 'alembic_version'"
            ).fetchall()
            found = [
                row[0]
                for (table,) in tables
                for row in connection.execute(f"SELECT to_jsonb(t)::text FROM {table} t")
            ]
        return "\n".join(found)


class Senders:
    """Email channels, each with a stop of its own, in one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._running: list[tuple[asyncio.Event, Any, Beat]] = []

    def start(
        self, desk: Desk, post: Post, *, connections: int = 4, timeout: float = 3.0, lease: float = 2.0
    ) -> Beat:
        provider = Provider("127.0.0.1", post.port, "none", DOMAIN, timeout)
        channel = EmailChannel(
            desk.database,
            desk.log,
            desk.house,
            connections=[SmtpConnection(provider) for _ in range(connections)],
            waker=desk.waker,
            sending=Sending(timedelta(seconds=0.05), lease),
        )
        stop, beat = asyncio.Event(), Beat()

        async def whole() -> None:
            await channel.run(beat, stop)

        self._running.append((stop, asyncio.run_coroutine_threadsafe(whole(), self._loop), beat))
        return beat

    def stop(self) -> None:
        for stop, _, _ in self._running:
            self._loop.call_soon_threadsafe(stop.set)
        running, self._running = self._running, []
        for _, done, _ in running:
            done.result(30)

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="session")
def new_base(stack: Stack) -> Callable[[], ServiceDatabase]:
    """Another empty database of notify, migrated."""

    def make() -> ServiceDatabase:
        name = f"notify_{uuid4().hex[:10]}"
        base = stack.create_service_database("notify", name)
        migrate(base.owner_url, "deskline_notify", f"{name}_runtime", f"{name}_readonly")
        return base

    return make


@pytest.fixture(scope="module")
def base(new_base: Callable[[], ServiceDatabase]) -> ServiceDatabase:
    return new_base()


@pytest.fixture(scope="session")
def people() -> People:
    return People()


@pytest.fixture(scope="session")
def facts() -> type[Facts]:
    return Facts


@pytest.fixture
def desk(base: ServiceDatabase, people: People) -> Iterator[Desk]:
    made = Desk(base, people)
    for table in ("notifications", "questions", "unverified_answers", "templates"):
        made.as_owner(f"DELETE FROM {table}")  # what the test before left is not to be sent in this one
    yield made
    made.close()


@pytest.fixture
def new_desk(new_base: Callable[[], ServiceDatabase], people: People) -> Iterator[Callable[..., Desk]]:
    """A desk on a database of its own, or on another desk's."""
    made: list[Desk] = []

    def make(base: ServiceDatabase | None = None, **given: Any) -> Desk:
        made.append(Desk(base or new_base(), people, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.stop()


@pytest.fixture
def senders() -> Iterator[Senders]:
    made = Senders()
    yield made
    made.close()


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    return wait_until
