"""The service as it is deployed: its own process, real Kafka, real PostgreSQL, a provider over SMTP."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic_core import to_json

from deskline_chassis.broker import Broker
from deskline_chassis.identity import generate_keys
from deskline_chassis.personal_data import KeyRing, PersonKey, seal
from deskline_events.facts import Fact
from deskline_events.personal import personal_paths
from deskline_events.topics import events_topic, keys_topic

pytestmark = pytest.mark.component

KEK = b"k" * 32
SERVE = "from deskline_notify.main import main; main()"


class Process:
    """One process of the service."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.log: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.log.extend(iter(self._process.stdout.readline, ""))

    @property
    def port(self) -> int | None:
        found = [json.loads(line) for line in self.log if '"event":"listening"' in line]
        return int(found[0]["port"]) if found else None

    def is_ready(self) -> bool:
        return self.port is not None and httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._close()

    def stop(self) -> int:
        self._process.terminate()
        code = self._process.wait(15)
        self._close()
        return code

    def _close(self) -> None:
        self._reading.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


class House:
    """What stands around the service: other owners' topics, its environment, its processes."""

    def __init__(self, stack: Any, desk: Any, post: Any, until: Any) -> None:
        self.desk, self.until = desk, until
        self.broker = Broker(bootstrap=stack.bootstrap, prefix=f"n{uuid4().hex[:6]}.", partitions=3)
        _, public = generate_keys()
        base = desk.base
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DESKLINE_")},
            "DESKLINE_KAFKA": self.broker.bootstrap,
            "DESKLINE_TOPIC_PREFIX": self.broker.prefix,
            "DESKLINE_PARTITIONS": "3",
            "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(KEK).decode(),
            "DESKLINE_IDENTITY_PUBLIC_KEY": public,
            "DESKLINE_NOTIFY_DATABASE_URL": base.runtime_url,
            "DESKLINE_NOTIFY_OWN_DOMAIN": "desk.example",
            "DESKLINE_NOTIFY_SMTP_PORT": str(post.port),
            "DESKLINE_NOTIFY_SMTP_CONNECTIONS": "2",
            "DESKLINE_NOTIFY_HTTP_PORT": "0",
        }
        self.running: list[Process] = []

    def start(self, instance: str) -> Process:
        process = Process(self.environment | {"DESKLINE_INSTANCE": instance})
        self.running.append(process)
        self.until(process.is_ready, "readiness", 60)
        return process

    def key(self, person: UUID) -> PersonKey:
        wrapped = base64.b64decode(self.desk.people.wrapped[person])
        return PersonKey(1, KeyRing(KEK).unwrap(wrapped))

    def announce(self, *told: tuple[str, UUID, Fact]) -> None:
        """Facts of other owners, sealed and in order, with the keys of their persons before them."""

        async def send() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap)
            await producer.start()
            try:
                for owner, stream, fact in told:
                    await self._send(producer, owner, stream, fact)
            finally:
                await producer.stop()

        asyncio.run(send())

    async def _send(self, producer: Any, owner: str, stream: UUID, fact: Fact) -> None:
        envelope, _ = self.desk.envelope(owner, stream, fact)
        data, keys = fact.model_dump(mode="json"), {}
        for of in {of for _, of in personal_paths(type(fact))}:
            person = getattr(fact, of)
            keys[person] = self.key(person)
            record = to_json(self.desk.people.keys(person).model_dump(mode="json", exclude_none=True))
            await producer.send_and_wait(
                self.broker.topic(keys_topic("routing" if owner == "routing" else "intake")),
                record,
                key=str(person).encode(),
                headers=[("deskline-epoch", b"1"), ("deskline-generation", b"1")],
            )
        seal(type(fact), data, envelope.id, keys)
        await producer.send_and_wait(
            self.broker.topic(events_topic(owner)),
            to_json(data),
            key=str(stream).encode(),
            headers=envelope.headers(),
        )

    def announced(self, count: int) -> list[tuple[UUID, str]]:
        """So many different events of notify's own, as others read them: some come twice after a kill."""
        found: list[tuple[UUID, str]] = []

        async def read() -> None:
            consumer = AIOKafkaConsumer(
                self.broker.topic(events_topic("notify")),
                bootstrap_servers=self.broker.bootstrap,
                auto_offset_reset="earliest",
            )
            await consumer.start()
            try:
                async with asyncio.timeout(30):
                    async for record in consumer:
                        headers = dict(record.headers)
                        subject = UUID(headers["ce_subject"].decode())
                        found.append((subject, headers["ce_type"].decode().split(".")[2]))
                        if len(set(found)) == count:
                            return
            finally:
                await consumer.stop()

        asyncio.run(read())
        return found


@pytest.fixture
def house(stack: Any, new_desk: Callable[..., Any], post: Any, until: Any) -> Iterator[House]:
    made = House(stack, new_desk(), post, until)
    yield made
    for process in made.running:
        if process._process.poll() is None:
            process.kill()


def opening(house: House, facts: Any, number: int) -> tuple[UUID, list[tuple[str, UUID, Fact]]]:
    person, ticket_id = house.desk.people.new(), uuid4()
    return ticket_id, [
        ("intake", person, facts.registered(person, f"c{number}@client.example")),
        ("tickets", ticket_id, facts.opened(person, subject=f"canary {number}", number=number + 1)),
    ]


def test_facts_on_topics_become_mails_and_events_on_a_topic_and_no_word_of_them_is_logged(
    house: House, facts: Any, post: Any
) -> None:
    first = house.start("notify-0")
    # What was announced before the service first ran would be told to nobody.
    told: list[tuple[str, UUID, Fact]] = []
    tickets = []
    for number in range(20):
        ticket_id, opened = opening(house, facts, number)
        tickets.append(ticket_id)
        told += opened
    house.announce(*told)
    assert Counter(house.announced(20)) == Counter((one, "NotificationSent") for one in tickets)
    assert Counter(post.ids()).most_common(1)[0][1] == 1
    figures = httpx.get(f"http://127.0.0.1:{first.port}/metrics").text
    assert 'deskline_notify_notifications_total{kind="acknowledgement",outcome="sent"} 20.0' in figures
    assert "client.example" not in figures
    assert first.stop() == 0
    assert not any("canary" in line or "client.example" in line for line in first.log)


def test_a_kill_between_the_providers_accept_and_our_commit_repeats_the_same_mail(
    house: House, facts: Any, post: Any
) -> None:
    taken = threading.Event()

    async def never_answer(_: Any) -> str:
        if taken.is_set():
            return "250 OK"
        taken.set()
        await asyncio.sleep(60)
        return "250 OK"

    post.answer = never_answer
    first = house.start("notify-0")
    ticket_id, told = opening(house, facts, 0)
    house.announce(*told)
    house.until(taken.is_set, "the provider took it")
    first.kill()
    house.start("notify-0")
    assert house.announced(1) == [(ticket_id, "NotificationSent")]
    assert [one.message_id for one in post.taken] == [post.taken[0].message_id] * 2


def test_a_kill_repeats_no_more_than_two_mails_a_connection_however_late_the_commit(
    house: House, facts: Any, post: Any
) -> None:
    first = house.start("notify-0")
    told = [one for number in range(20) for one in opening(house, facts, number)[1]]
    with house.desk.database.transaction() as connection:
        house.desk.log.lock(connection)  # no result can be committed meanwhile
        house.announce(*told)
        house.until(lambda: len(post.accepted) == 4, "two mails on each of two connections")
        ended = time.monotonic() + 1.0
        while time.monotonic() < ended:
            assert len(post.taken) == 4
            time.sleep(0.05)
        first.kill()
    house.start("notify-0")
    assert len(set(house.announced(20))) == 20
    copies = Counter(post.ids())
    assert sorted(copies.values()) == [1] * 16 + [2] * 4


def test_two_replicas_share_the_work_and_a_killed_ones_part_is_done_by_the_other(
    house: House, facts: Any, post: Any
) -> None:
    async def slowly(_: Any) -> str:
        await asyncio.sleep(0.06)
        return "250 OK"

    post.answer = slowly
    replicas = [house.start(f"notify-{number}") for number in range(2)]
    told: list[tuple[str, UUID, Fact]] = []
    for number in range(60):
        told += opening(house, facts, number)[1]
    half = len(told) // 2
    house.announce(*told[:half])
    house.until(lambda: len(post.accepted) >= 30, "the first half")
    peers = {one.server.transport is not None and one.server.session.peer[1] for one in post.accepted}
    assert len(peers) > 2
    replicas[0].kill()
    house.announce(*told[half:])
    assert len(set(house.announced(60))) == 60
    # On the wire one delivery each, but for what the killed one had under way on its two connections, and
    # for the answers to the mails before those, which it may not have committed yet.
    twice = [number for number in Counter(post.ids()).values() if number > 1]
    assert len(twice) <= 4
    assert len(set(post.ids())) == 60
