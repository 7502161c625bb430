"""What component tests stand on: a database with the chassis' tables, records as Kafka has them, a reader."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from shared.chassis.tests.house import PARTITIONS, House

from deskline_chassis.applying import Applier, Apply, Batch, ReaderSpec, Transaction
from deskline_chassis.broker import Broker
from deskline_chassis.decoding import Received, Record
from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing, PersonKey, seal
from deskline_chassis.postgres import Database
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.intake import CompanyRegistered, ContactRegistered
from deskline_local.stack import ServiceDatabase, Stack

TOPIC, KEYS_TOPIC = "deskline.intake.events", "deskline.intake.keys"
EFFECTS = """
CREATE TABLE effects (
  place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reader text, subject uuid, sequence bigint, text text
);
COMMENT ON TABLE effects IS 'truth: what handlers did';
"""


@pytest.fixture(scope="session")
def fresh(stack: Stack) -> Callable[[], ServiceDatabase]:
    """Makes a database with the chassis' tables and one for effects."""

    def make() -> ServiceDatabase:
        name = f"chassis_{uuid4().hex[:12]}"
        made = stack.create_service_database("chassis", database=name)
        with psycopg.connect(made.owner_url) as connection:
            connection.execute(EFFECTS)
        migrate(made.owner_url, "deskline_events", f"{name}_runtime", f"{name}_readonly")
        return made

    return make


@pytest.fixture(scope="session")
def shared_database(fresh: Callable[[], ServiceDatabase]) -> ServiceDatabase:
    return fresh()


@pytest.fixture(scope="session")
def database(shared_database: ServiceDatabase) -> Iterator[Database]:
    """Shared: tests keep apart by reader, stream and person."""
    opened = Database(shared_database.runtime_url, "tests")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def lone(fresh: Callable[[], ServiceDatabase]) -> Iterator[tuple[ServiceDatabase, Database]]:
    """A database of the test's own, and its pool."""
    made = fresh()
    opened = Database(made.runtime_url, "lone")
    opened.open()
    yield made, opened
    opened.close()


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return KeyRing(bytes(range(32)))


@pytest.fixture
def log(ring: KeyRing) -> EventLog:
    return EventLog("intake", ring)


@pytest.fixture
def cause() -> Cause:
    return Cause(uuid4())


@dataclass
class Wire:
    """Writes records as intake's relay does, with offsets that go up in each partition."""

    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    keys: dict[UUID, bytes] = field(default_factory=dict)

    def record(
        self,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        *,
        topic: str = TOPIC,
        partition: int = 0,
        key: UUID | None = None,
    ) -> Record:
        offset = self.ends.get((topic, partition), 0)
        self.ends[topic, partition] = offset + 1
        raw = None if key is None else str(key).encode()
        return Record(topic, partition, offset, raw, value, tuple(headers))

    def headers(
        self, subject: UUID, sequence: int, kind: str, *, epoch: int = 1, generation: int = 1
    ) -> dict[str, bytes]:
        source = source_of("intake")
        envelope = Envelope(
            id=event_id(source, subject, sequence, generation),
            source=source,
            type=kind,
            time=datetime(2026, 3, 2, tzinfo=UTC),
            subject=subject,
            sequence=sequence,
            correlation_id=uuid4(),
            causation_id=None,
            epoch=epoch,
            generation=generation,
        )
        return dict(envelope.headers())

    def company(
        self,
        subject: UUID,
        sequence: int,
        *,
        partition: int = 0,
        headers: dict[str, bytes] | None = None,
        data: dict[str, Any] | None = None,
        value: bytes | None = None,
        epoch: int = 1,
        generation: int = 1,
    ) -> Record:
        """An event without personal fields; `headers` and `data` change it."""
        found = self.headers(
            subject, sequence, CompanyRegistered.TYPE, epoch=epoch, generation=generation
        ) | (headers or {})
        body = {"company_id": str(subject), "tier": f"t{sequence}", "locale": "ru"} | (data or {})
        return self.record(
            json.dumps(body).encode() if value is None else value,
            list(found.items()),
            partition=partition,
            key=subject,
        )

    def contact(self, subject: UUID, sequence: int, name: str) -> Record:
        """An event with personal fields under the person's key."""
        found = self.headers(subject, sequence, ContactRegistered.TYPE)
        data: dict[str, Any] = {"contact_id": str(subject), "name": name, "locale": "ru"}
        key = self.keys.setdefault(subject, subject.bytes * 2)
        seal(ContactRegistered, data, UUID(found["ce_id"].decode()), {subject: PersonKey(1, key)})
        return self.record(json.dumps(data).encode(), list(found.items()), key=subject)

    def keys_record(self, subject: UUID, value: bytes, epoch: int = 1) -> Record:
        headers = [("deskline-epoch", str(epoch).encode()), ("deskline-generation", b"1")]
        return self.record(value, headers, topic=KEYS_TOPIC, key=subject)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@dataclass
class Desk:
    """A reader over the shared database: its effects are rows, and it fails when it is told to."""

    name: str
    applier: Applier
    database: Database
    failing: dict[UUID, Exception] = field(default_factory=dict)
    calls: int = 0
    slept: list[float] = field(default_factory=list)

    def feed(self, *records: Record) -> Any:
        batch: Batch = {}
        for record in records:
            batch.setdefault(record.place, []).append(record)
        return self.applier.apply(batch)

    def handle(self, transaction: Transaction, events: Sequence[Received]) -> None:
        for one in events:
            text = getattr(one.fact, "name", None) or getattr(one.fact, "tier", None)
            transaction.connection.execute(
                "INSERT INTO effects (reader, subject, sequence, text) VALUES (%s, %s, %s, %s)",
                (self.name, one.envelope.subject, one.envelope.sequence, text),
            )
            if one.envelope.subject in self.failing:
                self.calls += 1
                raise self.failing[one.envelope.subject]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement, {"reader": self.name}).fetchall()

    def applied(self, subject: UUID | None = None) -> list[Any]:
        found = self.rows(
            "SELECT subject, sequence, text FROM effects WHERE reader = %(reader)s ORDER BY place"
        )
        return [(seq, text) for stream, seq, text in found if subject in {None, stream}]

    def sequences(self, subject: UUID) -> list[int]:
        return [sequence for sequence, _ in self.applied(subject)]

    def waiting(self) -> int:
        return int(self.rows("SELECT count(*) FROM waiting_records WHERE reader = %(reader)s")[0][0])

    def parked(self) -> list[tuple[UUID | None, int | None, str]]:
        return [
            (subject, sequence, cause)
            for subject, sequence, cause in self.rows(
                "SELECT subject, sequence, cause FROM parked_records WHERE reader = %(reader)s"
                " ORDER BY record_offset"
            )
        ]

    def position(self, partition: int = 0) -> tuple[int, int]:
        found = self.rows(
            "SELECT epoch, next_offset FROM positions WHERE reader = %(reader)s"
            f" AND topic = '{TOPIC}' AND partition = {partition}"
        )
        return found[0][0], found[0][1]


@pytest.fixture
def make_desk(database: Database, ring: KeyRing) -> Callable[..., Desk]:
    """Makes readers; a second one of the same name is another member."""

    def make(name: str | None = None, used: Database | None = None, ring_used: KeyRing | None = None) -> Desk:
        slept: list[float] = []
        named = name or f"reader-{uuid4().hex[:8]}"
        holder: list[Desk] = []

        def apply(transaction: Transaction, events: Sequence[Received]) -> None:
            holder[0].handle(transaction, events)

        handler: Apply = apply
        types = frozenset({ContactRegistered.TYPE, CompanyRegistered.TYPE})
        spec = ReaderSpec(named, ("intake",), ("intake",), types, handler)
        applier = Applier(
            spec,
            used or database,
            ring_used or ring,
            {TOPIC: "intake"},
            frozenset({KEYS_TOPIC}),
            sleep=slept.append,
        )
        desk = Desk(named, applier, used or database, slept=slept)
        holder.append(desk)
        return desk

    return make


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


@pytest.fixture
def house(stack: Stack, lone: tuple[ServiceDatabase, Database], ring: KeyRing) -> House:
    made, database = lone
    broker = Broker(stack.bootstrap, prefix=f"c{uuid4().hex[:8]}.", partitions=PARTITIONS)
    return House(made, database, broker, ring, EventLog("intake", ring))
