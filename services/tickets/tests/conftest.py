"""A tickets database, an office that works on it in this process, and customers who have keys."""

import asyncio
import base64
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from deskline_chassis.applying import Transaction
from deskline_chassis.callers import trust
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.http import create_app
from deskline_chassis.identity import HEADER, Identity, Verifier, generate_keys, sign
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing, learn_keys
from deskline_chassis.postgres import Database
from deskline_chassis.runtime import Runtime
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Customer, Fact, Line
from deskline_events.intake import MessageReceived
from deskline_events.keys import PersonKeys
from deskline_local.databases import ServiceDatabase
from deskline_local.stack import Stack
from deskline_tickets.adapters.desk import Desks
from deskline_tickets.adapters.ticket_store import TicketStore
from deskline_tickets.api.routes import add_routes
from deskline_tickets.consumer import reader_of
from deskline_tickets.domain.ids import ticket_id_of
from deskline_tickets.domain.ticket import Ticket
from deskline_tickets.handlers.messages import Rules

KEK = b"k" * 32
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOKEN_KEY = b"t" * 32
LINE = UUID(int=0x11E)
WINDOW = timedelta(days=14)


@dataclass
class Customers:
    """Persons with keys, as intake announces them."""

    wrapped: dict[UUID, str] = field(default_factory=dict)

    def new(self) -> UUID:
        person = uuid4()
        self.wrapped[person] = base64.b64encode(aes_key_wrap(KEK, os.urandom(32))).decode()
        return person

    def keys(self, person: UUID, *, erased: bool = False) -> PersonKeys:
        if erased:
            return PersonKeys(subject=person, keys={}, erased_at=datetime.now(UTC))
        return PersonKeys(subject=person, keys={1: self.wrapped[person]})


def message_of(sender: UUID, **given: Any) -> MessageReceived:
    """A customer's mail; every one with a source key of its own unless it is given."""
    line = given.pop("line_id", LINE)
    fields: dict[str, Any] = {
        "raw_id": uuid4(),
        "source_key": uuid4().hex * 2,
        "line": Line(line_id=line, name="Поддержка", channel="email", language="ru"),
        "contact_id": sender,
        "customer": Customer(contact_id=sender),
        "received_at": datetime.now(UTC),
        "kind": "human",
        "subject": "Принтер",
        "text": "Не печатает",
    }
    return MessageReceived(**(fields | given))


def received(fact: Fact, stream: UUID | None = None, sequence: int = 1) -> Received:
    """A fact of another service as the harness hands it over."""
    stream = stream or uuid4()
    _, owner, _, _ = fact.TYPE.split(".")
    identity = event_id(source_of(owner), stream, sequence, 1)
    story = uuid4()
    envelope = Envelope(
        identity, source_of(owner), fact.TYPE, datetime.now(UTC), stream, sequence, story, None, 1, 1
    )
    return Received(envelope, fact, Cause(story, identity, TRACE))


class Office:
    """What one replica of the service is made of, without its loops."""

    def __init__(self, base: ServiceDatabase, customers: Customers) -> None:
        self.base = base
        self.customers = customers
        self.database = Database(base.runtime_url, "tickets-test", size=10)
        self.database.open()
        self.rings = 0
        self.heard: dict[UUID, int] = {}
        self.keys = KeyRing(KEK)
        self.log = EventLog("tickets", self.keys, self._ring)
        self.store = TicketStore(self.log)
        self.rules = Rules(TOKEN_KEY, None, WINDOW)
        self.spec = reader_of(self.store, self.rules)
        self.desks = Desks(self.database, self.store)

    def _ring(self) -> None:
        self.rings += 1

    def customer(self) -> UUID:
        person = self.customers.new()
        with self.database.transaction() as connection:
            learn_keys(connection, [self.customers.keys(person)])
        return person

    def erase(self, person: UUID) -> None:
        with self.database.transaction() as connection:
            learn_keys(connection, [self.customers.keys(person, erased=True)])

    def take(self, *messages: MessageReceived) -> list[UUID]:
        """Deliver a batch in one transaction; the stream that each message went to."""
        self.apply(*(received(message) for message in messages))
        rows = dict(self.rows("SELECT source_key, stream FROM sources"))
        return [rows[message.source_key] for message in messages]

    def apply(self, *batch: Received) -> None:
        """What the harness does with a batch, in one transaction."""
        with self.database.transaction() as connection:
            transaction = Transaction(connection)
            self.spec.apply(transaction, batch)
        for follow in transaction.after_commit:
            follow()

    def hear(self, stream: UUID, *facts: Fact) -> list[Received]:
        """Another service's facts in a stream of theirs, in one batch; what was handed over."""
        batch = []
        for fact in facts:
            self.heard[stream] = self.heard.get(stream, 0) + 1
            batch.append(received(fact, stream, self.heard[stream]))
        self.apply(*batch)
        return batch

    def open_ticket(self, sender: UUID | None = None, **given: Any) -> UUID:
        message = message_of(sender or self.customer(), **given)
        (stream,) = self.take(message)
        assert stream == ticket_id_of(message.source_key)
        return stream

    def ticket(self, ticket_id: UUID) -> Ticket:
        ticket = self.desks.give(lambda desk: desk.ticket(ticket_id))
        assert ticket is not None
        return ticket

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement, values or None).fetchall()

    def types(self, stream: UUID) -> list[str]:
        listed = self.rows("SELECT sequence, type FROM events WHERE stream = %s ORDER BY sequence", stream)
        assert [sequence for sequence, _ in listed] == list(range(1, len(listed) + 1))
        return [kind for _, kind in listed]

    def as_owner(self, statement: str, values: Sequence[Any] = ()) -> None:
        with psycopg.connect(self.base.owner_url) as connection:
            connection.execute(statement, values)

    def close(self) -> None:
        self.database.close()


@pytest.fixture(scope="session")
def new_base(stack: Stack) -> Callable[[], ServiceDatabase]:
    """Another empty database of tickets, migrated."""

    def make() -> ServiceDatabase:
        name = f"tickets_{uuid4().hex[:10]}"
        base = stack.create_service_database("tickets", name)
        migrate(base.owner_url, "deskline_tickets", f"{name}_runtime", f"{name}_readonly")
        return base

    return make


@pytest.fixture(scope="module")
def base(new_base: Callable[[], ServiceDatabase]) -> ServiceDatabase:
    return new_base()


@pytest.fixture(scope="module")
def customers() -> Customers:
    return Customers()


@pytest.fixture
def office(base: ServiceDatabase, customers: Customers) -> Iterator[Office]:
    made = Office(base, customers)
    yield made
    made.close()


@pytest.fixture
def other_office(base: ServiceDatabase, customers: Customers) -> Iterator[Office]:
    """Another replica on the same database."""
    made = Office(base, customers)
    yield made
    made.close()


class Door:
    """The service's HTTP as the gateway calls it, in this process."""

    def __init__(self, office: Office) -> None:
        private, public = generate_keys()
        self._private = private
        self.actor = uuid4()
        self.app = create_app("tickets", "1", Runtime("tickets"), trust_traceparent=True)
        trust(self.app, Verifier(public, "tickets"))
        add_routes(self.app, office.database, office.log, office.desks.give)

    def headers(self, *roles: str, actor: UUID | None = None, scope: str = "all") -> dict[str, str]:
        identity = Identity(actor or self.actor, frozenset(roles or ("operator",)), scope)
        return {HEADER: sign(self._private, identity, "tickets", datetime.now(UTC))}

    def all(self, *requests: dict[str, Any]) -> list[httpx.Response]:
        """Send these at the same time."""

        async def send() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://tickets") as client:
                return await asyncio.gather(*(client.request(**request) for request in requests))

        return asyncio.run(send())

    def get(
        self, path: str, *roles: str, actor: UUID | None = None, scope: str = "all", **given: Any
    ) -> httpx.Response:
        headers = self.headers(*roles, actor=actor, scope=scope) | given.pop("headers", {})
        return self.all({"method": "GET", "url": path, "headers": headers, **given})[0]

    def command(
        self,
        path: str,
        body: Any,
        *roles: str,
        key: str | None = None,
        version: int | None = None,
        actor: UUID | None = None,
        scope: str = "all",
        **given: Any,
    ) -> dict[str, Any]:
        """A POST to be sent; with a new key unless one is given."""
        headers = self.headers(*roles, actor=actor, scope=scope) | {"Idempotency-Key": key or uuid4().hex}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        return {
            "method": "POST",
            "url": path,
            "json": body,
            "headers": headers | given.pop("headers", {}),
        } | given

    def post(self, path: str, body: Any, *roles: str, **given: Any) -> httpx.Response:
        return self.all(self.command(path, body, *roles, **given))[0]


@pytest.fixture
def door(office: Office) -> Door:
    return Door(office)


@pytest.fixture
def other_door(other_office: Office) -> Door:
    return Door(other_office)


@pytest.fixture(name="message_of", scope="session")
def _message_of() -> Callable[..., MessageReceived]:
    return message_of
