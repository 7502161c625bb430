"""The service as it is deployed: its own process, real Kafka, real PostgreSQL, HTTP."""

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic_core import to_json
from services.tickets.tests.routing_facts import (
    notification,
    offer_made,
    operator_changed,
    queue_changed,
    sla_breached,
    team_changed,
    ticket_queued,
)

from deskline_chassis.broker import Broker
from deskline_chassis.identity import HEADER, Identity, generate_keys, sign
from deskline_chassis.personal_data import KeyRing, PersonKey, seal, unseal
from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Fact
from deskline_events.intake import MessageReceived
from deskline_events.personal import personal_paths
from deskline_events.topics import Topic, events_topic, keys_topic
from deskline_tickets.domain.ids import ticket_id_of

pytestmark = pytest.mark.component

T = TypeVar("T")
Published = tuple[Envelope, dict[str, Any], bytes]
KEK, PATIENCE = b"k" * 32, 30.0
SERVE = "from deskline_tickets.main import main; main()"


class Running:
    """One process of the service, and what its neighbours do."""

    def __init__(self, environment: dict[str, str], broker: Broker, private: str, customers: Any) -> None:
        self.broker = broker
        self.customers = customers
        self._private = private
        self._sequences: dict[tuple[str, UUID], int] = {}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self.url = f"http://127.0.0.1:{until(self._port, 'the port')}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.log.extend(iter(self.process.stdout.readline, ""))

    def _port(self) -> int | None:
        found = re.search(r'"port": ?(\d+)', "".join(self.log))
        return int(found.group(1)) if found else None

    def request(
        self, method: str, path: str, *, actor: UUID | None = None, scope: str = "all", **given: Any
    ) -> httpx.Response:
        identity = Identity(actor or uuid4(), frozenset({"operator"}), scope)
        headers = {HEADER: sign(self._private, identity, "tickets", datetime.now(UTC))}
        if method == "POST":
            headers["Idempotency-Key"] = uuid4().hex
        return httpx.request(method, self.url + path, headers=headers, **given)

    def send(self, *messages: MessageReceived) -> None:
        """Announce messages in their senders' streams, so that they come in order, as intake does."""
        for message in messages:
            self.tell(message.contact_id, message, person=message.contact_id, story=message.raw_id)

    def tell(
        self,
        stream: UUID,
        *facts: Fact,
        person: UUID | None = None,
        story: UUID | None = None,
        times: int = 1,
    ) -> None:
        """Announce facts in a stream, and the key of whom they speak, as their owner does; several times."""

        async def announce(producer: AIOKafkaProducer) -> None:
            epoch = [("deskline-epoch", b"1"), ("deskline-generation", b"1")]
            for fact in facts:
                owner = fact.TYPE.split(".")[1]
                topics = [self.broker.topic(make(owner)) for make in (keys_topic, events_topic)]
                if person is not None:
                    keys = to_json(self.customers.keys(person).model_dump(mode="json", exclude_none=True))
                    await producer.send_and_wait(topics[0], keys, key=str(person).encode(), headers=epoch)
                envelope, value = self._announced(owner, stream, fact, story or uuid4())
                for _ in range(times):
                    await producer.send_and_wait(
                        topics[1], value, key=str(stream).encode(), headers=envelope.headers()
                    )

        asyncio.run(self._with(AIOKafkaProducer, announce, []))

    def _announced(self, owner: str, stream: UUID, fact: Fact, story: UUID) -> tuple[Envelope, bytes]:
        sequence = self._sequences[owner, stream] = self._sequences.get((owner, stream), 0) + 1
        identity = event_id(source_of(owner), stream, sequence, 1)
        data = fact.model_dump(mode="json")
        persons = {UUID(str(data[of])) for _, of in personal_paths(type(fact))}
        seal(type(fact), data, identity, {person: self.key(person) for person in persons})
        envelope = Envelope(
            id=identity,
            source=source_of(owner),
            type=fact.TYPE,
            time=datetime.now(UTC),
            subject=stream,
            sequence=sequence,
            correlation_id=story,
            causation_id=None,
            epoch=1,
            generation=1,
        )
        return envelope, to_json(data)

    def key(self, person: UUID) -> PersonKey:
        wrapped = base64.b64decode(self.customers.wrapped[person])
        return PersonKey(1, KeyRing(KEK).unwrap(wrapped))

    def announced(self, topic: Topic, stream: UUID, count: int) -> list[Published]:
        """So many records of a stream, from the topic's beginning."""
        found: list[Published] = []

        async def read(consumer: AIOKafkaConsumer) -> None:
            async with asyncio.timeout(PATIENCE):
                async for record in consumer:
                    envelope = Envelope.read(tuple(record.headers))
                    if envelope.subject == stream:
                        found.append((envelope, json.loads(record.value), record.value))
                    if len(found) == count:
                        return

        asyncio.run(self._with(AIOKafkaConsumer, read, [self.broker.topic(topic)]))
        return found

    async def _with(self, kind: Any, work: Callable[[Any], Awaitable[None]], topics: list[str]) -> None:
        named = {"auto_offset_reset": "earliest"} if topics else {}
        client = kind(*topics, bootstrap_servers=self.broker.bootstrap, **named)
        await client.start()
        try:
            await work(client)
        finally:
            await client.stop()

    def card(self, ticket_id: UUID) -> dict[str, Any] | None:
        answer = self.request("GET", f"/v1/tickets/{ticket_id}")
        return answer.json() if answer.status_code == 200 else None

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(15)
        self._reading.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def until(ask: Callable[[], T | None], what: str) -> T:
    """What is asked for, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = ask()
        if found is not None:
            return found
        threading.Event().wait(0.05)
    raise AssertionError(f"{what} did not come in {PATIENCE} s")


@pytest.fixture(scope="module")
def running(stack: Any, base: Any, customers: Any) -> Iterator[Running]:
    private, public = generate_keys()
    broker = Broker(bootstrap=stack.bootstrap, prefix=f"t{uuid4().hex[:6]}.", partitions=3)
    environment = os.environ | {
        "DESKLINE_KAFKA": broker.bootstrap,
        "DESKLINE_TOPIC_PREFIX": broker.prefix,
        "DESKLINE_PARTITIONS": "3",
        "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(KEK).decode(),
        "DESKLINE_IDENTITY_PUBLIC_KEY": public,
        "DESKLINE_TICKETS_DATABASE_URL": base.runtime_url,
        "DESKLINE_TICKETS_MIGRATION_URL": base.owner_url,
        "DESKLINE_TICKETS_RUNTIME_ROLE": f"{base.name}_runtime",
        "DESKLINE_TICKETS_READONLY_ROLE": f"{base.name}_readonly",
        "DESKLINE_TICKETS_REPLY_TOKEN_KEY": base64.b64encode(b"t" * 32).decode(),
        "DESKLINE_TICKETS_HTTP_PORT": "0",
    }
    subprocess.run([sys.executable, "-c", SERVE, "migrate"], env=environment, check=True)
    made = Running(environment, broker, private, customers)
    made.environment = environment  # type: ignore[attr-defined]
    until(lambda: httpx.get(made.url + "/readyz").status_code == 200 or None, "readiness")
    yield made
    assert made.stop() == 0


def test_a_message_becomes_a_ticket_and_what_is_done_with_it_is_announced(
    running: Running, message_of: Any
) -> None:
    customer = running.customers.new()
    message = message_of(customer, text="Канарейка в письме", message_id="<a@customer.example>")
    running.send(message)
    ticket_id = ticket_id_of(message.source_key)
    card = until(lambda: running.card(ticket_id), "the card")
    assert card["messages"][0]["text"] == "Канарейка в письме"
    path = f"/v1/tickets/{ticket_id}"
    assert running.request("POST", f"{path}/notes", json={"text": "тайная заметка"}).status_code == 201
    reply = {"text": "Ответ клиенту", "seen_version": 2}
    assert running.request("POST", f"{path}/replies", json=reply).status_code == 201
    records = running.announced(events_topic("tickets"), ticket_id, 5)
    assert [one.type.split(".")[2] for one, _, _ in records] == [
        "TicketOpened",
        "NoteAdded",
        "OperatorReplied",
        "TicketAccepted",
        "StageChanged",
    ]
    assert [one.sequence for one, _, _ in records] == [1, 2, 3, 4, 5]
    assert records[0][0].correlation_id == message.raw_id
    assert records[0][0].causation_id == event_id(source_of("intake"), customer, 1, 1)
    assert set(records[1][1]) == {"note_id", "operator_id", "mentions"}
    keys = {customer: running.key(customer)}
    clear = []
    for envelope, data, _ in records:
        model = CATALOG[envelope.type].model
        unseal(model, data, envelope.id, keys)
        clear.append(model.model_validate(data).model_dump_json())
    assert "Канарейка в письме" in clear[0]
    assert "Ответ клиенту" in clear[2]
    for word in ("Канарейка", "тайная", "Ответ"):
        assert not any(word.encode() in value for _, _, value in records)
        assert word not in "".join(running.log)


def test_a_reply_on_the_topic_finds_its_ticket_and_a_repeat_has_no_effect(
    running: Running, message_of: Any
) -> None:
    customer, known = running.customers.new(), f"<{uuid4()}@customer.example>"
    first = message_of(customer, message_id=known)
    reply = message_of(customer, references=known)
    again = first.model_copy(update={"raw_id": uuid4()})
    last = message_of(customer, references=known, text="последнее")
    running.send(first, reply, again, last)
    ticket_id = ticket_id_of(first.source_key)
    card = until(
        lambda: (found := running.card(ticket_id)) and (found if found["version"] == 3 else None), "the reply"
    )
    assert [one["text"] for one in card["messages"]] == ["Не печатает", "Не печатает", "последнее"]


def test_what_others_decide_is_answered_on_the_topic_once_though_it_comes_twice(
    running: Running, message_of: Any
) -> None:
    customer, operator = running.customers.new(), running.customers.new()
    team, queue = uuid4(), uuid4()
    message = message_of(customer)
    running.send(message)
    ticket_id = ticket_id_of(message.source_key)
    path = f"/v1/tickets/{ticket_id}"
    until(lambda: running.card(ticket_id), "the card")
    running.tell(team, team_changed(team))
    running.tell(queue, queue_changed(queue, team))
    running.tell(operator, operator_changed(operator, team), person=operator)
    made = offer_made(queue, operator)
    running.tell(ticket_id, ticket_queued(queue, team), made, times=2)
    until(lambda: (running.card(ticket_id) or {}).get("offer"), "the offer")
    ((_, opened, _),) = running.announced(events_topic("tickets"), ticket_id, 1)
    token = opened["reply_token"]
    running.send(*[message_of(customer, reply_token=token, text=f"строка {n}") for n in range(50)])
    until(lambda: (running.card(ticket_id) or {"version": 0})["version"] == 53 or None, "fifty lines")
    body = {"offer_id": str(made.offer_id)}
    accepted = running.request("POST", f"{path}/accept", actor=operator, scope="own", json=body)
    assert (accepted.status_code, accepted.json()["stage"]) == (200, "in_progress")
    reply = {"text": "Ответ", "seen_version": 1}
    replied = running.request("POST", f"{path}/replies", actor=operator, scope="own", json=reply).json()
    running.tell(ticket_id, notification(UUID(replied["reply_id"])), times=2)
    running.tell(ticket_id, sla_breached(datetime.now(UTC)), times=2)
    records = running.announced(events_topic("tickets"), ticket_id, 8 + 50)
    names = [one.type.split(".")[2] for one, _, _ in records if "CustomerReplied" not in one.type]
    assert names[:6] == [
        "TicketOpened",
        "TicketRouted",
        "TicketOffered",
        "TicketAccepted",
        "StageChanged",
        "OperatorReplied",
    ]
    assert sorted(names[6:]) == ["DecisionRefused", "DeliveryChanged"]
    assert [one.sequence for one, _, _ in records] == list(range(1, 59))
    assert all(CATALOG[one.type].model.model_fields.keys() == data.keys() for one, data, _ in records)
    queued = event_id(source_of("routing"), ticket_id, 1, 1)
    assert records[1][0].causation_id == queued


def test_the_command_line_works(running: Running) -> None:
    environment = running.environment  # type: ignore[attr-defined]

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", SERVE, *words], env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    assert run("parked", "list") == ""
    assert run("rebuild", "set-aside").startswith("set_aside: ")
    assert run("republish").startswith("epoch 2")
