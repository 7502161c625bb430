"""The service as it is deployed: its own processes, real Kafka, PostgreSQL and HTTP, killed in the middle."""

import asyncio
import base64
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from pydantic_core import to_json

from deskline_chassis.broker import Broker
from deskline_chassis.identity import HEADER, Identity, generate_keys, sign
from deskline_events.keys import PersonKeys
from deskline_events.topics import events_topic, keys_topic
from deskline_routing.domain.ids import FALLBACK_QUEUE

pytestmark = pytest.mark.component

T = TypeVar("T")
PATIENCE = 45.0
APPLIED = 'deskline_reader_records_total{outcome="applied",reader="deskline.routing"}'
SERVE = "from deskline_routing.main import main; main()"


def until(ask: Callable[[], T | None], what: str) -> T:
    """What is asked for, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = ask()
        if found is not None:
            return found
        threading.Event().wait(0.05)
    raise AssertionError(f"{what} did not come in {PATIENCE} s")


class Replica:
    """One process of the service."""

    def __init__(self, environment: dict[str, str], name: str, private: str) -> None:
        self._private = private
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve"],
            env=environment | {"DESKLINE_INSTANCE": name},
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

    def ready(self) -> "Replica":
        until(lambda: httpx.get(self.url + "/readyz").status_code == 200 or None, "readiness")
        return self

    def request(self, method: str, path: str, role: str, actor: UUID, **given: Any) -> httpx.Response:
        identity = Identity(actor, frozenset({role}), "all")
        headers = {HEADER: sign(self._private, identity, "routing", datetime.now(UTC))}
        return httpx.request(method, self.url + path, headers=headers, **given)

    def figure(self, name: str) -> float:
        text = httpx.get(self.url + "/metrics").text
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE))

    def kill(self) -> None:
        self.process.kill()
        self._end()

    def stop(self) -> int:
        self.process.terminate()
        return self._end()

    def _end(self) -> int:
        code = self.process.wait(15)
        self._reading.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Deployment:
    """The service's surroundings: its environment, and what its neighbours announce."""

    def __init__(self, stack: Any, base: Any, tickets: Any) -> None:
        self._private, public = generate_keys()
        self.broker = Broker(bootstrap=stack.bootstrap, prefix=f"r{uuid4().hex[:6]}.", partitions=4)
        self.tickets = tickets
        self.replicas: list[Replica] = []
        self._sent = Counter[int]()
        self.environment = os.environ | {
            "DESKLINE_KAFKA": self.broker.bootstrap,
            "DESKLINE_TOPIC_PREFIX": self.broker.prefix,
            "DESKLINE_PARTITIONS": "4",
            "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
            "DESKLINE_IDENTITY_PUBLIC_KEY": public,
            "DESKLINE_ROUTING_DATABASE_URL": base.runtime_url,
            "DESKLINE_ROUTING_MIGRATION_URL": base.owner_url,
            "DESKLINE_ROUTING_RUNTIME_ROLE": f"{base.name}_runtime",
            "DESKLINE_ROUTING_READONLY_ROLE": f"{base.name}_readonly",
            "DESKLINE_ROUTING_HTTP_PORT": "0",
            "DESKLINE_ROUTING_SWEEP_SECONDS": "1",
        }

    def start(self, name: str) -> Replica:
        self.replicas.append(Replica(self.environment, name, self._private))
        return self.replicas[-1]

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", SERVE, *words],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def announce(self) -> None:
        """Send what the stand-in for tickets said since."""
        asyncio.run(self._announce())

    def play(self, done: Callable[[], bool]) -> None:
        """Let tickets answer until it is done."""

        def turn() -> bool | None:
            if self.tickets.answer() or not self._sent:
                self.announce()
            return done() or None

        self.announce()
        until(turn, "what the test waits for")

    async def _announce(self) -> None:
        wrapped = base64.b64encode(aes_key_wrap(b"k" * 32, b"c" * 32)).decode()
        keys = PersonKeys(subject=UUID(int=0xC0), keys={1: wrapped})
        producer = AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap, linger_ms=5)
        await producer.start()
        try:
            if not self._sent:
                value = to_json(keys.model_dump(mode="json", exclude_none=True))
                epoch = [("deskline-epoch", b"1"), ("deskline-generation", b"1")]
                key, topic = str(keys.subject).encode(), self.broker.topic(keys_topic("intake"))
                await producer.send_and_wait(topic, value, key=key, headers=epoch)
            topic = self.broker.topic(events_topic("tickets"))
            sending = []
            for number, records in self.tickets.topic.partitions.items():
                for record in records[self._sent[number] :]:
                    given = {"key": record.key, "headers": list(record.headers), "partition": number}
                    sending.append(await producer.send(topic, record.value, **given))
                self._sent[number] = len(records)
            await asyncio.gather(*sending)
        finally:
            await producer.stop()


@pytest.fixture
def deployment(stack: Any, base: Any, tickets: Any) -> Iterator[Deployment]:
    made = Deployment(stack, base, tickets)
    made.command("migrate")
    yield made
    for replica in made.replicas:
        if replica.process.poll() is None:
            replica.stop()


def test_set_up_from_a_shell_and_offered_by_the_clock(
    deployment: Deployment, bureau: Any, tickets: Any
) -> None:
    run = deployment.command
    team = run("team", "put", "--name", "First line")
    queue = run(
        "queue",
        "put",
        "--name",
        "First",
        "--team",
        team,
        "--conditions",
        '{"levels": [1]}',
        "--accept-seconds",
        "1",
    )
    named = ("--name", "Канарейка", "--address", "canary@staff.example", "--team", team, "--capacity", "9")
    operators = {UUID(run("operator", "put", *named)) for _ in range(2)}
    refused = subprocess.run(
        [sys.executable, "-c", SERVE, "queue", "put", "--name", "x", "--conditions", '{"lvels": [2]}'],
        env=deployment.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "lvels" in refused.stderr
    replica = deployment.start("routing-0").ready()
    ticket = tickets.open()
    deployment.play(lambda: bureau.said(ticket)[-1:] == ["NobodyAvailable"])
    for operator in operators:
        answer = replica.request("POST", "/v1/presence", "operator", operator, json={"state": "online"})
        assert answer.status_code == 200, answer.text
    made = bureau.last(ticket)
    deployment.play(lambda: tickets.holder(ticket) is not None)
    deployment.play(lambda: bureau.said(ticket).count("OfferMade") == 2)
    withdrawn, again = bureau.facts(ticket)[3:5]
    assert (withdrawn.offer_id, withdrawn.reason) == (made.offer_id, "timed_out")
    fired = bureau.rows("SELECT fired_at - due_at, due_at FROM fired_deadlines ORDER BY due_at")[0]
    assert timedelta(0) <= fired[0] < timedelta(seconds=2)
    assert fired[1] == made.until
    assert {made.operator_id, again.operator_id} == operators
    assert again.queue_id == UUID(queue)
    assert run("parked", "list") == ""
    assert run("operator", "erase", "--id", str(made.operator_id)) == ""
    assert replica.stop() == 0
    assert not re.search("Канарейка|canary@", "".join(replica.log))


def test_two_processes_share_the_work_and_one_that_is_killed_loses_nothing(
    deployment: Deployment, bureau: Any, tickets: Any
) -> None:
    operators = [bureau.operator(capacity=20, online=False) for _ in range(6)]
    one, two = deployment.start("routing-0").ready(), deployment.start("routing-1").ready()
    for operator in operators:
        one.request("POST", "/v1/presence", "operator", operator, json={"state": "online"})
    opened = [tickets.open() for _ in range(300)]

    def shared() -> bool:
        if min(one.figure(APPLIED), two.figure(APPLIED)) > 20:
            return True
        # One may have done all there was before the other was given a partition.
        opened.extend(tickets.open() for _ in range(10))
        deployment.announce()
        return False

    deployment.play(shared)
    two.kill()
    three = deployment.start("routing-1")

    def decided() -> bool:
        return bool(
            bureau.rows("SELECT count(*) FROM decisions WHERE kind = 'operator'")[0][0] == len(opened)
        )

    deployment.play(decided)
    three.ready()
    said = Counter(tuple(bureau.said(ticket)) for ticket in opened)
    assert said == {
        ("TicketQueued", "OfferMade"): 120,
        ("TicketQueued", "NobodyAvailable"): len(opened) - 120,
    }
    offered = Counter(
        row[0] for row in bureau.rows("SELECT offer_operator_id FROM tickets WHERE offer_id IS NOT NULL")
    )
    assert offered == dict.fromkeys(operators, 20)
    assert bureau.said(FALLBACK_QUEUE) == ["QueueChanged"]
    assert (one.stop(), three.stop()) == (0, 0)


def test_a_silent_operator_loses_the_offer_and_a_restart_does_not(
    deployment: Deployment, bureau: Any, tickets: Any
) -> None:
    deployment.environment["DESKLINE_ROUTING_PRESENCE_SECONDS"] = "2"
    olga = bureau.operator(capacity=9, online=False)
    replica = deployment.start("routing-0").ready()
    ticket = tickets.open()
    deployment.play(lambda: bureau.said(ticket)[-1:] == ["NobodyAvailable"])
    answer = replica.request("POST", "/v1/presence", "operator", olga, json={"state": "online"})
    assert answer.json()["state"] == "online"
    assert bureau.said(ticket)[-1] == "OfferMade"
    replica.kill()
    with psycopg.connect(bureau.base.owner_url) as connection:
        for column, table in (("heard_until", "listening"), ("expires_at", "presence")):
            connection.execute(f"UPDATE {table} SET {column} = {column} - interval '1 hour'")
    again = deployment.start("routing-0").ready()
    started = datetime.now(UTC)
    until(lambda: bureau.said(ticket)[-1] == "OfferWithdrawn" or None, "the withdrawal")
    assert bureau.last(ticket).reason == "operator_lost"
    ((said_at,),) = bureau.rows("SELECT time FROM events WHERE type LIKE '%OfferWithdrawn%'")
    ((extended,),) = bureau.rows("SELECT expires_at FROM presence")
    assert extended <= said_at
    assert (started - extended).total_seconds() < 0
    assert again.stop() == 0
