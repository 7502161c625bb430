"""A replica of sla without its loops: records are handed to it, due steps are fired when a test says so."""

import asyncio
import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from pydantic_core import to_json
from services.sla.tests.kit import CONTACT

from deskline_chassis.applying import Applier, Transaction
from deskline_chassis.callers import trust
from deskline_chassis.deadlines import Deadline, Deadlines, fire_deadlines
from deskline_chassis.decoding import Record
from deskline_chassis.event_log import EventLog
from deskline_chassis.http import create_app
from deskline_chassis.identity import HEADER, Identity, Verifier, generate_keys, sign
from deskline_chassis.loops import Beat, Run
from deskline_chassis.personal_data import KeyRing, PersonKey, learn_keys, seal
from deskline_chassis.postgres import Conn, Database
from deskline_chassis.runtime import Runtime
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Fact
from deskline_events.keys import PersonKeys
from deskline_events.watermarks import Watermark
from deskline_local.databases import ServiceDatabase
from deskline_sla.adapters.clock_desk import Desks
from deskline_sla.api.routes import add_routes
from deskline_sla.consumer import reader_of
from deskline_sla.domain.steps import STEP_KIND
from deskline_sla.timers import fires_of

KEK = b"k" * 32
TOPIC, KEYS_TOPIC = "deskline.tickets.events", "deskline.intake.keys"
PLACE = TOPIC, 0


def until(true: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return found


class Mark:
    """A watermark that stands where a test puts it."""

    def __init__(self) -> None:
        self.until: datetime | None = datetime.max.replace(tzinfo=UTC)
        self.announced: datetime | None = None
        self.asked: list[tuple[str, str, int]] = []

    def complete_until(self, _connection: Conn, reader: str, owner: str, partition: int) -> datetime | None:
        self.asked.append((reader, owner, partition))
        return self.until

    def latest(self, _owner: str) -> Watermark | None:
        """What was applied last is what was announced last, unless a test says that there is more."""
        at = self.announced or self.until
        return None if at is None else Watermark(time=at, epoch=1, generation=1, offsets={0: 1})


@dataclass
class Tickets:
    """What tickets would announce: streams with dense sequences on one partition."""

    records: list[Record] = field(default_factory=list)
    sequences: dict[UUID, int] = field(default_factory=dict)
    key: bytes = b"p" * 32

    def say(self, ticket_id: UUID, *facts: tuple[Fact, datetime]) -> None:
        for fact, at in facts:
            self.sequences[ticket_id] = sequence = self.sequences.get(ticket_id, 0) + 1
            data = fact.model_dump(mode="json")
            identity = event_id(source_of("tickets"), ticket_id, sequence, 1)
            seal(type(fact), data, identity, {CONTACT: PersonKey(1, self.key)})
            envelope = Envelope(
                id=identity,
                source=source_of("tickets"),
                type=fact.TYPE,
                time=at,
                subject=ticket_id,
                sequence=sequence,
                correlation_id=ticket_id,
                causation_id=None,
                epoch=1,
                generation=1,
            )
            self.record(ticket_id, to_json(data), envelope)

    def record(self, ticket_id: UUID, value: bytes, envelope: Envelope) -> None:
        key = str(ticket_id).encode()
        self.records.append(Record(*PLACE, len(self.records), key, value, tuple(envelope.headers())))


class Loops:
    """Runs loops in one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._running: list[tuple[asyncio.Event, Any]] = []

    def start(self, run: Run) -> None:
        stop = asyncio.Event()

        async def whole() -> None:
            await run(Beat(), stop)

        self._running.append((stop, asyncio.run_coroutine_threadsafe(whole(), self._loop)))

    def close(self) -> None:
        for stop, _ in self._running:
            self._loop.call_soon_threadsafe(stop.set)
        for _, done in self._running:
            done.result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Replica:
    """One process' worth of sla."""

    def __init__(self, base: ServiceDatabase) -> None:
        self.base = base
        self.mark = Mark()
        self.keys = KeyRing(KEK)
        self.database = Database(base.runtime_url, "sla-test", size=6)
        self.database.open()
        self.log = EventLog("sla", self.keys)
        self.desks = Desks(self.database, self.log, self.mark)
        self.spec = reader_of(self.desks)
        self.applier = Applier(
            self.spec, self.database, self.keys, {TOPIC: "tickets"}, frozenset({KEYS_TOPIC}), sleep=_at_once
        )
        self.fire = fires_of(self.desks)[STEP_KIND]
        self.read = 0
        self._private, public = generate_keys()
        self.app = create_app("sla", "1", Runtime("sla"), trust_traceparent=True)
        trust(self.app, Verifier(public, "sla"))
        add_routes(self.app, self.database, self.desks.rules, self.desks.open)

    def close(self) -> None:
        self.database.close()

    def know_customer(self, tickets: Tickets) -> None:
        wrapped = _wrap(tickets.key)
        with self.database.transaction() as connection:
            learn_keys(connection, [PersonKeys(subject=CONTACT, keys={1: wrapped})])

    def take(self, tickets: Tickets, up_to: int | None = None, batch: int = 500) -> None:
        """Read on, in portions."""
        end = len(tickets.records) if up_to is None else up_to
        while self.read < end:
            following = min(self.read + batch, end)
            self.applier.apply({PLACE: tickets.records[self.read : following]})
            self.read = following

    def take_again(self, tickets: Tickets, since: int) -> None:
        """As another consumer that was given the partition and begins too early."""
        self.applier.assigned([PLACE])
        self.database.run(lambda c: c.execute("UPDATE positions SET next_offset = %s", (since,)) and None)
        self.applier.assigned([PLACE])
        self.read = since
        self.take(tickets)

    def fire_due(self) -> tuple[list[Deadline], list[Deadline]]:
        """Decide once what is due by the database's clock, as the loop does; (decided, held)."""
        with self.database.transaction() as connection:
            self.log.lock(connection)
            ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
            rows = connection.execute(
                "SELECT kind, subject, key, generation, due_at FROM deadlines"
                " WHERE state = 'armed' AND due_at <= %s ORDER BY due_at, key",
                (now,),
            ).fetchall()
            due = [Deadline(*row) for row in rows]
            held = list(self.fire(Transaction(connection), due, now)) if due else []
            decided = [one for one in due if one not in held]
            for one in decided:
                connection.execute(
                    "UPDATE deadlines SET state = 'fired'"
                    " WHERE subject = %s AND key = %s AND generation = %s",
                    (one.subject, one.key, one.generation),
                )
        return decided, held

    def timers(self) -> Run:
        return fire_deadlines(self.database, self.log, {STEP_KIND: self.fire})

    def pending(self, ticket_id: UUID) -> dict[str, tuple[int, datetime]]:
        with self.database.transaction() as connection:
            found = Deadlines(self.log).pending(connection, ticket_id)
        return {one.key: (one.generation, one.due_at) for one in found}

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement, values or None).fetchall()

    def as_owner(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.base.owner_url) as connection:
            connection.execute(statement, values)

    def told(self, stream: UUID) -> list[tuple[str, dict[str, Any]]]:
        """What was announced in a stream: (name, data)."""
        rows = self.rows("SELECT sequence, type, data FROM events WHERE stream = %s ORDER BY 1", stream)
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        return [(kind.split(".")[2], data) for _, kind, data in rows]

    def names(self, stream: UUID) -> list[str]:
        return [f"{name} {data['clock']}" for name, data in self.told(stream)]

    def headers(self, *roles: str) -> dict[str, str]:
        identity = Identity(uuid4(), frozenset(roles), "all")
        return {HEADER: sign(self._private, identity, "sla", datetime.now(UTC))}

    def request(
        self, method: str, path: str, *roles: str, seen: int | str | None = None, **given: Any
    ) -> httpx.Response:
        headers = self.headers(*roles) | given.pop("headers", {})
        if seen is not None:
            headers["If-Match"] = f'"{seen}"' if isinstance(seen, int) else seen

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sla") as client:
                return await client.request(method, path, headers=headers, **given)

        return asyncio.run(send())

    def get(self, path: str, *roles: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, *(roles or ("operator",)), **given)

    def put(self, path: str, body: Any, *roles: str, **given: Any) -> httpx.Response:
        return self.request("PUT", path, *(roles or ("admin",)), json=body, **given)


def ago(**given: float) -> datetime:
    """A moment before now; whole microseconds as PostgreSQL keeps them."""
    return datetime.now(UTC) - timedelta(**given)


def _at_once(_seconds: float) -> None:
    return None


def _wrap(key: bytes) -> str:
    return base64.b64encode(aes_key_wrap(KEK, key)).decode()
