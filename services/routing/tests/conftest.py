"""A routing database, replicas that work on it in this process, and a stand-in for tickets that answers."""

import asyncio
import base64
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from pydantic_core import to_json

from deskline_chassis.applying import Applier, Batch, Transaction
from deskline_chassis.deadlines import Deadlines
from deskline_chassis.decoding import Record
from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.http import create_app
from deskline_chassis.identity import HEADER, Identity, Verifier, generate_keys, sign, trust
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing, PersonKey, learn_keys, seal
from deskline_chassis.postgres import Database
from deskline_chassis.runtime import Runtime
from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Customer, Fact, Line
from deskline_events.keys import PersonKeys
from deskline_events.routing import OperatorChanged, QueueChanged, TeamChanged
from deskline_events.tickets import (
    Actor,
    CustomerMessage,
    DecisionRefused,
    Escalated,
    OfferDeclined,
    OfferEnded,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)
from deskline_local.databases import ServiceDatabase
from deskline_local.stack import Stack
from deskline_routing.adapters.desk import Desks
from deskline_routing.adapters.hearing import Hearing
from deskline_routing.api import add_routes
from deskline_routing.consumer import reader_of
from deskline_routing.handlers import directory, moments
from deskline_routing.handlers.presence import report_presence
from deskline_routing.timers import offer_timeouts

KEK = b"k" * 32
CONTACT_KEY = b"c" * 32
CONTACT = UUID(int=0xC0)
LINE = UUID(int=0x11E)
TOPIC = "deskline.tickets.events"
PARTITIONS = 4
PERIOD = 60.0
SYSTEM = Actor(kind="system")


def opened(*, priority: Any = "medium", level: int = 1, **given: Any) -> TicketOpened:
    """A ticket by a person's mail."""
    message = CustomerMessage(
        source_key=uuid4().hex * 2,
        received_at=given.pop("received_at", datetime.now(UTC)),
        kind="human",
        text="Не печатает",
    )
    customer = {"contact_id": CONTACT} | given.pop("customer", {})
    fields: dict[str, Any] = {
        "number": 1,
        "line": Line(line_id=LINE, name="Поддержка", channel="email", language="ru"),
        "contact_id": CONTACT,
        "customer": Customer(**customer),
        "subject": "Принтер",
        "message": message,
        "priority": priority,
        "level": level,
        "reply_token": "t",
    }
    return TicketOpened(**(fields | given))


class Topic:
    """The topic of tickets, as its relay fills it."""

    def __init__(self) -> None:
        self.partitions: dict[int, list[Record]] = {number: [] for number in range(PARTITIONS)}
        self._sequences: dict[UUID, int] = defaultdict(int)
        self._lock = threading.Lock()

    def publish(self, ticket_id: UUID, fact: Fact, time: datetime | None = None) -> Envelope:
        with self._lock:
            sequence = self._sequences[ticket_id] = self._sequences[ticket_id] + 1
            identity = event_id(source_of("tickets"), ticket_id, sequence, 1)
            envelope = Envelope(
                id=identity,
                source=source_of("tickets"),
                type=fact.TYPE,
                time=time or datetime.now(UTC),
                subject=ticket_id,
                sequence=sequence,
                correlation_id=ticket_id,
                causation_id=None,
                epoch=1,
                generation=1,
            )
            data = fact.model_dump(mode="json")
            seal(type(fact), data, identity, {CONTACT: PersonKey(1, CONTACT_KEY)})
            self._append(self.partition_of(ticket_id), ticket_id, to_json(data), tuple(envelope.headers()))
            return envelope

    def repeat(self, ticket_id: UUID) -> None:
        """Announce everything of a ticket once more, as a relay does that crashed."""
        with self._lock:
            number = self.partition_of(ticket_id)
            for record in list(self.partitions[number]):
                if record.key == str(ticket_id).encode():
                    self._append(number, ticket_id, record.value or b"", record.headers)

    def _append(self, number: int, key: UUID, value: bytes, headers: Any) -> None:
        records = self.partitions[number]
        records.append(Record(TOPIC, number, len(records), str(key).encode(), value, headers))

    @staticmethod
    def partition_of(ticket_id: UUID) -> int:
        return ticket_id.int % PARTITIONS


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


@dataclass
class Aggregate:
    """What tickets would know of a ticket."""

    stage: Any = "new"
    assignment_no: int = 0
    queue_id: UUID | None = None
    assignee_id: UUID | None = None
    offer: Any = None
    level: int = 1


@dataclass
class Tickets:
    """A stand-in for tickets: answers routing's decisions as the aggregate does, and takes commands."""

    topic: Topic
    base: ServiceDatabase
    known: dict[UUID, Aggregate] = field(default_factory=dict)
    read: int = 0

    def open(self, **given: Any) -> UUID:
        ticket_id = UUID(bytes=os.urandom(16))
        self.known[ticket_id] = Aggregate()
        self.topic.publish(ticket_id, opened(**given))
        return ticket_id

    def answer(self) -> int:
        """Answer all decisions that were announced since; how many there were."""
        with psycopg.connect(self.base.owner_url) as connection:
            rows = connection.execute(
                "SELECT id, stream, type, data, sequence FROM events WHERE id > %s ORDER BY id", (self.read,)
            ).fetchall()
        answered = 0
        for number, stream, kind, data, sequence in rows:
            self.read = number
            ticket = self.known.get(stream)
            if ticket is not None:
                name = kind.split(".")[2]
                identity = event_id(source_of("routing"), stream, sequence, 1)
                answered += self._answer(stream, ticket, name, data, identity)
        return answered

    def _answer(self, ticket_id: UUID, ticket: Aggregate, name: str, data: Any, identity: UUID) -> int:
        right = data["assignment_no"] == ticket.assignment_no
        if name == "NobodyAvailable":
            return 0
        if name == "TicketQueued":
            if not right or ticket.stage in {"resolved", "closed"}:
                return self.refuse(ticket_id, "queue", identity)
            ticket.queue_id = UUID(data["queue_id"])
            self.say(
                ticket_id,
                TicketRouted(queue_id=ticket.queue_id, actor=SYSTEM, assignment_no=ticket.assignment_no),
            )
        elif name == "OfferMade":
            if not right or ticket.assignee_id or ticket.offer or ticket.stage in {"resolved", "closed"}:
                return self.refuse(ticket_id, "offer", identity, UUID(data["offer_id"]))
            ticket.offer = {key: data[key] for key in ("offer_id", "operator_id")}
            named = {key: data[key] for key in ("offer_id", "operator_id", "queue_id", "until")}
            self.say(ticket_id, TicketOffered(**named, assignment_no=ticket.assignment_no))
        elif name == "OfferWithdrawn":
            if ticket.offer is None or ticket.offer["offer_id"] != data["offer_id"]:
                return self.refuse(ticket_id, "withdrawal", identity, UUID(data["offer_id"]))
            self.end_offer(ticket_id, data["reason"])
        elif name == "AssignmentWithdrawn":
            if not right or str(ticket.assignee_id) != data["operator_id"]:
                return self.refuse(ticket_id, "unassignment", identity)
            self.unassign(ticket_id, data["reason"])
        return 1

    def say(self, ticket_id: UUID, fact: Fact) -> None:
        self.topic.publish(ticket_id, fact)

    def refuse(self, ticket_id: UUID, decision: Any, identity: UUID, offer_id: UUID | None = None) -> int:
        ticket = self.known[ticket_id]
        fact = DecisionRefused(
            decision=decision,
            decision_id=identity,
            offer_id=offer_id,
            reason="stale",
            stage=ticket.stage,
            assignee_id=ticket.assignee_id,
            assignment_no=ticket.assignment_no,
        )
        self.say(ticket_id, fact)
        return 1

    def end_offer(self, ticket_id: UUID, reason: Any) -> None:
        ticket = self.known[ticket_id]
        self.say(ticket_id, OfferEnded(**ticket.offer, reason=reason, assignment_no=ticket.assignment_no))
        ticket.offer = None

    def decline(self, ticket_id: UUID) -> None:
        ticket = self.known[ticket_id]
        self.say(ticket_id, OfferDeclined(**ticket.offer, assignment_no=ticket.assignment_no))
        ticket.offer = None

    def accept(self, ticket_id: UUID, operator_id: UUID | None = None) -> UUID:
        """Accept the open offer, or (by another operator) take it."""
        ticket = self.known[ticket_id]
        mine = ticket.offer is not None and operator_id in {None, UUID(ticket.offer["operator_id"])}
        offer_id = ticket.offer["offer_id"] if mine else None
        operator = operator_id or UUID(ticket.offer["operator_id"])
        if ticket.offer is not None and not mine:
            self.end_offer(ticket_id, "ticket_moved")
        ticket.offer, ticket.assignee_id = None, operator
        ticket.assignment_no += 1
        actor = Actor(kind="operator", id=operator)
        no = ticket.assignment_no
        fact = TicketAccepted(operator_id=operator, offer_id=offer_id, actor=actor, assignment_no=no)
        self.say(ticket_id, fact)
        if ticket.stage == "new":
            self.stage(ticket_id, "in_progress")
        return operator

    def stage(self, ticket_id: UUID, stage: Any) -> None:
        ticket = self.known[ticket_id]
        if ticket.offer is not None:
            self.end_offer(ticket_id, "ticket_moved")
        before, ticket.stage = ticket.stage, stage
        ticket.assignment_no += 1
        no = ticket.assignment_no
        self.say(ticket_id, StageChanged(before=before, after=stage, actor=SYSTEM, cycle=1, assignment_no=no))

    def unassign(self, ticket_id: UUID, reason: Any = "given_back") -> None:
        ticket = self.known[ticket_id]
        operator, ticket.assignee_id = ticket.assignee_id, None
        ticket.assignment_no += 1
        no = ticket.assignment_no
        assert operator is not None
        self.say(
            ticket_id, TicketUnassigned(operator_id=operator, reason=reason, actor=SYSTEM, assignment_no=no)
        )

    def escalate(self, ticket_id: UUID, level: int, preferred: UUID | None = None) -> None:
        ticket = self.known[ticket_id]
        if ticket.offer is not None:
            self.end_offer(ticket_id, "ticket_moved")
        if ticket.assignee_id is not None:
            self.unassign(ticket_id, "escalated")
        before, ticket.level = ticket.level, level
        ticket.assignment_no += 1
        fact = Escalated(
            before=before,
            after=level,
            reason="manual",
            actor=SYSTEM,
            assignment_no=ticket.assignment_no,
            preferred_operator_id=preferred,
        )
        self.say(ticket_id, fact)

    def route(self, ticket_id: UUID, queue_id: UUID) -> None:
        """A person chooses the queue."""
        ticket = self.known[ticket_id]
        if ticket.offer is not None:
            self.end_offer(ticket_id, "ticket_moved")
        if ticket.assignee_id is not None:
            self.unassign(ticket_id, "queue_changed")
        ticket.queue_id = queue_id
        ticket.assignment_no += 1
        person = Actor(kind="operator", id=uuid4())
        no = ticket.assignment_no
        self.say(ticket_id, TicketRouted(queue_id=queue_id, actor=person, assignment_no=no))

    def holder(self, ticket_id: UUID) -> UUID | None:
        offer = self.known[ticket_id].offer
        return None if offer is None else UUID(offer["operator_id"])


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
