"""A routing database, replicas that work on it in this process, and its HTTP."""

import asyncio
import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from services.routing.tests.tickets_stand_in import CONTACT, CONTACT_KEY, PARTITIONS, TOPIC, Tickets, Topic

from deskline_chassis.applying import Applier, Batch, Transaction
from deskline_chassis.callers import trust
from deskline_chassis.deadlines import Deadlines
from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.http import create_app
from deskline_chassis.identity import HEADER, Identity, Verifier, generate_keys, sign
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing, learn_keys
from deskline_chassis.postgres import Database
from deskline_chassis.runtime import Runtime
from deskline_events.catalog import CATALOG
from deskline_events.facts import Fact
from deskline_events.keys import PersonKeys
from deskline_events.routing import OperatorChanged, QueueChanged, TeamChanged
from deskline_local.databases import ServiceDatabase
from deskline_local.stack import Stack
from deskline_routing.adapters.desk import Desks
from deskline_routing.adapters.hearing import Hearing
from deskline_routing.api.routes import add_routes
from deskline_routing.consumer import reader_of
from deskline_routing.handlers import directory, moments
from deskline_routing.handlers.presence import report_presence
from deskline_routing.timers import offer_timeouts

KEK = b"k" * 32
PERIOD = 60.0


class Bureau:
    """What one replica of the service is made of, without its loops."""

    def __init__(self, base: ServiceDatabase, topic: Topic) -> None:
        self.base = base
        self.topic = topic
        self.database = Database(base.runtime_url, "routing-test", size=10)
        self.database.open()
        self.keys = KeyRing(KEK)
        self.log = EventLog("routing", self.keys)
        self.desks = Desks(self.database, self.log)
        self.hearing = Hearing(self.database, PERIOD)
        self.applier = Applier(
            reader_of(self.log),
            self.database,
            self.keys,
            {TOPIC: "tickets"},
            frozenset(),
            sleep=lambda _: None,
        )
        wrapped = base64.b64encode(aes_key_wrap(KEK, CONTACT_KEY)).decode()
        with self.database.transaction() as connection:
            learn_keys(connection, [PersonKeys(subject=CONTACT, keys={1: wrapped})])
        self.hearing.tick()

    def drain(self, partitions: Sequence[int] = range(PARTITIONS), most: int = 500) -> int:
        """Apply what is new in these partitions, at most so many records a batch; how many."""
        applied = 0
        while True:
            offsets = self.applier.assigned([(TOPIC, number) for number in partitions])
            batch: Batch = {}
            room = most
            for (name, number), offset in offsets.items():
                records = self.topic.partitions[number][offset : offset + room]
                if records:
                    batch[name, number] = list(records)
                    room -= len(records)
                if not room:
                    break
            if not batch:
                return applied
            self.applier.apply(batch)
            applied += sum(map(len, batch.values()))

    def team(self, **given: Any) -> UUID:
        fact = TeamChanged(**({"team_id": uuid4(), "name": "Team"} | given))
        directory.put_team(self.desks.open, fact, "any", Cause(uuid4()))
        return fact.team_id

    def operator(self, *teams: UUID, online: bool = True, **given: Any) -> UUID:
        fields = {
            "operator_id": uuid4(),
            "name": "Ольга",
            "address": "olga@staff.example",
            "language": "ru",
            "employed": True,
            "team_ids": teams,
            "capacity": 1,
        } | given
        fact = OperatorChanged(**fields)
        directory.put_operator(self.desks.open, fact, "any", Cause(uuid4()))
        if online:
            self.online(fact.operator_id)
        return fact.operator_id

    def queue(self, team: UUID | None, **given: Any) -> UUID:
        fields = {"queue_id": uuid4(), "name": "Queue", "team_id": team, "order": 1, "conditions": {}} | given
        fact = QueueChanged(**fields)
        directory.put_queue(self.desks.open, fact, "any", Cause(uuid4()))
        return fact.queue_id

    def presence(self, operator_id: UUID, state: Any) -> str:
        return report_presence(self.desks.open, operator_id, state, PERIOD, Cause(uuid4())).state

    def online(self, operator_id: UUID) -> None:
        assert self.presence(operator_id, "online") == "online"

    def time_out(self, *tickets: UUID) -> None:
        """Let the moment of these tickets' offers come."""
        with self.database.transaction() as connection:
            self.log.lock(connection)
            pending = Deadlines(self.log).pending
            due = [deadline for ticket in tickets for deadline in pending(connection, ticket)]
            offer_timeouts(self.log)(Transaction(connection), due, datetime.now(UTC))

    def sweep(self) -> None:
        moments.sweep_waiting(self.desks.open, Cause(uuid4()))

    def check_presence(self) -> int:
        self.hearing.tick()
        return moments.withdraw_from_lost(self.desks.open, Cause(uuid4()))

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement, values or None).fetchall()

    def _announced(self, stream: UUID) -> list[tuple[type[Fact], Any]]:
        rows = self.rows(
            "SELECT sequence, type, data FROM events WHERE stream = %s ORDER BY sequence", stream
        )
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        return [(CATALOG[kind].model, data) for _, kind, data in rows]

    def facts(self, stream: UUID) -> list[Any]:
        """What was announced in a stream that holds nothing personal."""
        return [model.model_validate(data) for model, data in self._announced(stream)]

    def said(self, stream: UUID) -> list[str]:
        return [model.__name__ for model, _ in self._announced(stream)]

    def last(self, stream: UUID) -> Any:
        return self.facts(stream)[-1]

    def as_owner(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.base.owner_url) as connection:
            connection.execute(statement, values or None)

    def close(self) -> None:
        self.database.close()


@pytest.fixture(scope="session")
def made_base(stack: Stack) -> ServiceDatabase:
    """A database of routing, migrated."""
    name = f"routing_{uuid4().hex[:10]}"
    base = stack.create_service_database("routing", name)
    migrate(base.owner_url, "deskline_routing", f"{name}_runtime", f"{name}_readonly")
    return base


@pytest.fixture
def base(made_base: ServiceDatabase) -> ServiceDatabase:
    """The database as it was migrated: operators of another test would be candidates."""
    with psycopg.connect(made_base.owner_url) as connection:
        rows = connection.execute(
            "SELECT string_agg(relname, ', ') FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
        ).fetchone()
        assert rows is not None
        connection.execute(f"TRUNCATE {rows[0]} RESTART IDENTITY")
        for table in ("log_head", "relay"):
            connection.execute(f"INSERT INTO {table} DEFAULT VALUES")
        connection.execute("INSERT INTO listening (heard_until) VALUES (to_timestamp(0))")
    return made_base


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def bureau(base: ServiceDatabase, topic: Topic) -> Iterator[Bureau]:
    made = Bureau(base, topic)
    yield made
    made.close()


@pytest.fixture
def other_bureau(base: ServiceDatabase, topic: Topic) -> Iterator[Bureau]:
    """Another replica on the same database."""
    made = Bureau(base, topic)
    yield made
    made.close()


@pytest.fixture
def tickets(base: ServiceDatabase, topic: Topic) -> Tickets:
    return Tickets(topic, base)


@pytest.fixture
def play(bureau: Bureau, tickets: Tickets) -> Callable[[], None]:
    """Let routing and tickets answer each other until both are silent."""

    def run() -> None:
        for _ in range(100):
            if not bureau.drain() + tickets.answer():
                return
        raise AssertionError("they never fell silent")

    return run


class Door:
    """The service's HTTP as the gateway calls it, in this process."""

    def __init__(self, bureau: Bureau) -> None:
        private, public = generate_keys()
        self._private = private
        self.app = create_app("routing", "1", Runtime("routing"), trust_traceparent=True)
        trust(self.app, Verifier(public, "routing"))
        add_routes(self.app, bureau.database, bureau.log, bureau.desks.open, PERIOD)

    def request(
        self,
        method: str,
        path: str,
        *roles: str,
        actor: UUID | None = None,
        scope: str = "all",
        version: int | None = None,
        **given: Any,
    ) -> httpx.Response:
        identity = Identity(actor or uuid4(), frozenset(roles or ("admin",)), scope)
        headers = {HEADER: sign(self._private, identity, "routing", datetime.now(UTC))}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        headers |= given.pop("headers", {})

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://routing") as client:
                return await client.request(method, path, headers=headers, **given)

        return asyncio.run(send())

    def get(self, path: str, *roles: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, *roles, **given)

    def put(self, path: str, body: Any, *roles: str, **given: Any) -> httpx.Response:
        return self.request("PUT", path, *roles, json=body, **given)


@pytest.fixture
def door(bureau: Bureau) -> Door:
    return Door(bureau)


@pytest.fixture
def cause() -> Cause:
    return Cause(uuid4())


@pytest.fixture
def stranger() -> UUID:
    """Somebody whom routing does not know."""
    return uuid4()
