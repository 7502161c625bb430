"""A house to test in: an owner, its relay and a reader of it, with a database and a prefix of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.bell import Bell
from deskline_chassis.broker import Broker
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.loops import Beat, FatalLoopError
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Conn, Database
from deskline_chassis.reader import Reader
from deskline_chassis.relay import Relay
from deskline_events.intake import CompanyRegistered, ContactRegistered
from deskline_local.stack import ServiceDatabase

NAME = "deskline.tests"
PARTITIONS = 2


@dataclass
class House:
    """An owner, intake, and a reader of it in one database."""

    made: ServiceDatabase
    database: Database
    broker: Broker
    ring: KeyRing
    log: EventLog

    def write(self, *words: str, person: UUID | None = None) -> list[UUID]:
        """Events under one person, or each under a new one."""
        with self.database.transaction() as connection:
            self.log.lock(connection)
            return self.write_in(connection, *words, person=person)

    def write_in(self, connection: Conn, *words: str, person: UUID | None = None) -> list[UUID]:
        """Write in a transaction that holds the log's lock."""
        persons = [person or uuid4() for _ in words]
        self.ring.register(connection, persons)
        self.log.append(
            connection,
            [
                NewEvent(one, ContactRegistered(contact_id=one, name=word, locale="ru"), Cause(uuid4()))
                for one, word in zip(persons, words, strict=True)
            ],
        )
        return persons

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement, values).fetchall()

    def announced(self) -> bool:
        return bool(
            self.rows("SELECT position >= (SELECT coalesce(max(id), 0) FROM events) FROM relay")[0][0]
        )

    def texts(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT text FROM effects ORDER BY place")]

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        bell = Bell(self.made.runtime_url, "bell")
        relay = Relay("intake", self.made.runtime_url, self.broker, bell, owns_keys=True)
        async with running(relay.run):
            yield

    def reader(self) -> Reader:
        def apply(transaction: Transaction, events: Any) -> None:
            one: Received
            for one in events:
                transaction.connection.execute(
                    "INSERT INTO effects (reader, subject, sequence, text) VALUES (%s, %s, %s, %s)",
                    (NAME, one.envelope.subject, one.envelope.sequence, getattr(one.fact, "name", None)),
                )

        types = frozenset({ContactRegistered.TYPE, CompanyRegistered.TYPE})
        spec = ReaderSpec(NAME, ("intake",), ("intake",), types, apply)
        return Reader(spec, self.database, self.ring, self.broker, instance="one")

    async def delete_topic(self, name: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([name])
        finally:
            await admin.close()

    async def topic(self, name: str, partitions: int = PARTITIONS) -> list[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            parts = [TopicPartition(name, number) for number in range(partitions)]
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            ends = await consumer.end_offsets(parts)
            found: list[Any] = []
            while any([await consumer.position(part) < ends[part] for part in parts]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
            return found
        finally:
            await consumer.stop()


@asynccontextmanager
async def running(
    run: Callable[[Beat, asyncio.Event], Awaitable[None]],
) -> AsyncIterator["asyncio.Future[None]"]:
    stop = asyncio.Event()
    task = asyncio.ensure_future(run(Beat(), stop))
    try:
        yield task
    finally:
        stop.set()
        done, late = await asyncio.wait({task}, timeout=10)
        for one in late:
            one.cancel()
        assert not late
        for one in done:
            with contextlib.suppress(FatalLoopError):
                one.result()


async def until(what: str, condition: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 -- what is waited for is in the servers
            await asyncio.sleep(0.05)
