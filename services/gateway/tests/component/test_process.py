"""The gateway as it is deployed: its command line and its process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
import pytest
from aiokafka import AIOKafkaProducer

from deskline_chassis.broker import Broker
from deskline_events.envelope import Envelope
from deskline_events.topics import events_topic
from deskline_local.stack import Stack

pytestmark = pytest.mark.component

ACTOR = "01890a5d-ac96-774b-bcce-b302099a8058"
LIST = "/v1/tickets"
COMMAND = [sys.executable, "-c", "from deskline_gateway.main import main; main()"]


@pytest.fixture
def environment(urls: SimpleNamespace, world: Any, keys: tuple[str, str]) -> dict[str, str]:
    private, public = keys
    return {
        "PATH": os.environ["PATH"],
        "DESKLINE_KAFKA": "127.0.0.1:1",
        "DESKLINE_KEY_ENCRYPTION_KEY": public,
        "DESKLINE_IDENTITY_PUBLIC_KEY": public,
        "DESKLINE_GATEWAY_DATABASE_URL": urls.runtime,
        "DESKLINE_GATEWAY_IDENTITY_PRIVATE_KEY": private,
        **{f"DESKLINE_GATEWAY_{name.upper()}_URL": served.url for name, served in world.owners.items()},
        "DESKLINE_GATEWAY_HTTP_PORT": "0",
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment | changed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@contextmanager
def serving(environment: dict[str, str], until: Callable[..., None]) -> Iterator[SimpleNamespace]:
    process = subprocess.Popen([*COMMAND, "serve"], env=environment, stdout=subprocess.PIPE, text=True)
    lines: list[dict[str, Any]] = []
    assert process.stdout is not None
    reading = threading.Thread(target=lambda: lines.extend(json.loads(line) for line in process.stdout or ()))
    reading.start()

    def port() -> int:
        return next((line["port"] for line in lines if line["event"] == "listening"), 0)

    try:
        until(lambda: port() > 0, 30.0)
        yield SimpleNamespace(process=process, url=f"http://127.0.0.1:{port()}", lines=lines)
    finally:
        process.kill()
        process.wait(10)
        reading.join(10)
        process.stdout.close()


@pytest.fixture
def served(environment: dict[str, str], until: Callable[..., None]) -> Iterator[SimpleNamespace]:
    """The process with no broker to be had, which it does not need to be ready."""
    with serving(environment, until) as served:
        yield served


def test_live_views_fit_the_memory_and_end_with_the_process(
    run: Callable[..., subprocess.CompletedProcess[str]],
    environment: dict[str, str],
    stack: Stack,
    until: Callable[..., None],
    watch: Callable[[str, str], Any],
) -> None:
    token = run("token", "create", "--role", "operator").stdout.strip()
    prefix = f"gateway-{uuid4().hex[:8]}."
    told = {
        "DESKLINE_KAFKA": stack.bootstrap,
        "DESKLINE_TOPIC_PREFIX": prefix,
        "DESKLINE_GATEWAY_STREAMS_PER_TOKEN": "100",
    }
    ticket = uuid4()
    with serving(environment | told, until) as served:
        figures = f"{served.url}/metrics"
        until(lambda: "deskline_gateway_live_up 1.0" in httpx.get(figures, trust_env=False).text, 30.0)
        streams = [watch(f"{served.url}/v1/tickets/{ticket}/events", token) for _ in range(50)]
        announce(Broker(stack.bootstrap, prefix), ticket, 500)
        for stream in streams:
            stream.until('"version":500')
        resident = psutil.Process(served.process.pid).memory_info().rss / 2**20
        assert resident < 170, f"{resident:.0f} MiB"
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(10) == 0
        for stream in streams:
            stream._thread.join(5)
            assert stream.ended
            assert stream.events[-1][1]["version"] == 500
    assert token not in json.dumps(served.lines)


def announce(broker: Broker, ticket: UUID, count: int) -> None:
    async def send() -> None:
        producer = AIOKafkaProducer(**broker.client_settings("announcer"))
        await producer.start()
        try:
            for sequence in range(1, count + 1):
                envelope = Envelope(
                    id=uuid4(),
                    source="/deskline/tickets",
                    type="deskline.tickets.NoteAdded.v1",
                    time=datetime.now(UTC),
                    subject=ticket,
                    sequence=sequence,
                    correlation_id=ticket,
                    causation_id=None,
                    epoch=1,
                    generation=1,
                )
                topic = broker.topic(events_topic("tickets"))
                sent = await producer.send(topic, b"{}" * 500, key=b"k", headers=envelope.headers())
                if sequence % 100 == 0:
                    await sent
                    await asyncio.sleep(0.05)
        finally:
            await producer.stop()

    asyncio.run(send())


def test_a_token_is_made_used_listed_revoked_and_refused(
    run: Callable[..., subprocess.CompletedProcess[str]],
    served: SimpleNamespace,
    world: Any,
    until: Callable[..., None],
) -> None:
    made = run(
        "token",
        "create",
        "--role",
        "operator",
        "--role",
        "lead",
        "--actor",
        ACTOR,
        "--days",
        "7",
        "--label",
        "ci",
    )
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    token_id = text.split("_")[1]
    with httpx.Client(base_url=served.url, trust_env=False, timeout=15) as client:
        until(lambda: client.get("/readyz").status_code == 200, 15.0)
        answer = client.get(LIST, headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 200, answer.text
        assert len(world.analytics.received) >= 1

        listed = run("token", "list")
        (shown,) = [line for line in map(json.loads, listed.stdout.splitlines()) if line["label"] == "ci"]
        assert shown["id"].replace("-", "") == token_id
        assert (shown["actor_id"], shown["roles"]) == (ACTOR, ["lead", "operator"])
        assert text not in listed.stdout

        assert run("token", "revoke", token_id).returncode == 0
        until(lambda: client.get(LIST, headers={"Authorization": f"Bearer {text}"}).status_code == 401, 5.0)
        assert 'deskline_gateway_owner_up{owner="tickets"}' in client.get("/metrics").text
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(10) == 0
    assert text not in json.dumps(served.lines)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["create"], 2, "--role"),
        (["create", "--role", "root"], 2, "root"),
        (["create", "--role", "admin", "--days", "0"], 2, "days"),
        (["create", "--role", "admin", "--label", "Ivan Petrov"], 2, "billing-sync"),
        (["revoke", ACTOR], 1, "there is no token"),
        (["revoke", "x"], 2, "UUID"),
    ],
)
def test_a_wrong_command_is_told_and_makes_nothing(
    run: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str], code: int, told: str
) -> None:
    before = run("token", "list").stdout
    answer = run("token", *arguments)
    assert answer.returncode == code
    assert told in answer.stderr
    assert answer.stdout == ""
    assert run("token", "list").stdout == before


def test_a_database_that_is_away_is_one_clear_line(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    answer = run(
        "token", "list", DESKLINE_GATEWAY_DATABASE_URL="host=127.0.0.1 port=1 dbname=x user=canary-user"
    )
    assert answer.returncode == 1
    assert "database can't be used" in answer.stderr
    assert "canary-user" not in answer.stderr
