"""The service as it is deployed: processes of it, a tickets-like log with a real relay, a real broker."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from services.sla.tests.kit import CONTACT, answered, opened
from services.sla.tests.replica import KEK, Loops, until

from deskline_chassis.bell import Bell
from deskline_chassis.broker import Broker
from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.identity import HEADER, Identity, generate_keys, sign
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_chassis.relay import Relay
from deskline_events.facts import Fact
from deskline_local.databases import ServiceDatabase
from deskline_local.stack import Stack

pytestmark = pytest.mark.component

SERVE = "from deskline_sla.main import main; main()"
PARTITIONS = 3
POLICY = {
    "policy_id": str(UUID(int=77)),
    "name": "Seconds",
    "order": 0,
    "calendar_id": "00000000-0000-7000-8000-00000000c247",
    "targets": [
        {"clock": clock, "priority": priority, "seconds": seconds}
        for clock, seconds in (("first_response", 3), ("resolution", 3600))
        for priority in ("low", "medium", "high", "critical")
    ],
    "steps": {"first_response": [{"key": "warn", "percent": 50, "recipients": ["assignee"]}]},
}


class Owner:
    """A log with a relay of its own, which a test can stop."""

    def __init__(self, stack: Stack, broker: Broker, name: str, keys_of: "Owner | None" = None) -> None:
        base = stack.create_service_database(name, f"slat_{uuid4().hex[:10]}")
        migrate(base.owner_url, "deskline_events", f"{base.name}_runtime", f"{base.name}_readonly")
        self.name = name
        self.url = base.runtime_url
        self.broker = broker
        self.keys = KeyRing(KEK)
        self.database = Database(base.runtime_url, name)
        self.database.open()
        self.log = EventLog(name, self.keys)
        if keys_of is not None:
            rows = keys_of.rows("SELECT subject, version, wrapped FROM person_keys")
            with self.database.transaction() as connection, connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO known_keys (subject, version, wrapped) VALUES (%s, %s, %s)", rows
                )

    def relaying(self) -> Loops:
        bell = Bell(self.url, f"{self.name}-bell")
        loops = Loops()
        relay = Relay(self.name, self.url, self.broker, bell, owns_keys=self.name == "intake")
        loops.start(relay.run)
        return loops

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement).fetchall()

    def say(self, *told: tuple[UUID, Fact]) -> datetime:
        """Append facts; the time of their commit."""
        with self.database.transaction() as connection:
            self.log.lock(connection)
            appended = self.log.append(
                connection, [NewEvent(stream, fact, Cause(stream)) for stream, fact in told]
            )
        return appended[-1].time


class System:
    """Tickets' log, and as many processes of sla as wanted."""

    def __init__(self, stack: Stack, base: ServiceDatabase) -> None:
        self.base = base
        self.broker = Broker(stack.bootstrap, prefix=f"sla{uuid4().hex[:6]}.", partitions=PARTITIONS)
        self.intake = Owner(stack, self.broker, "intake")
        with self.intake.database.transaction() as connection:
            self.intake.log.lock(connection)
            self.intake.keys.register(connection, [CONTACT])
        self.tickets = Owner(stack, self.broker, "tickets", self.intake)
        self.private, public = generate_keys()
        self.environment = os.environ | {
            "DESKLINE_KAFKA": stack.bootstrap,
            "DESKLINE_TOPIC_PREFIX": self.broker.prefix,
            "DESKLINE_PARTITIONS": str(PARTITIONS),
            "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(KEK).decode(),
            "DESKLINE_IDENTITY_PUBLIC_KEY": public,
            "DESKLINE_SLA_DATABASE_URL": base.runtime_url,
            "DESKLINE_SLA_HTTP_PORT": "0",
        }
        self.processes: list[Process] = []

    def start(self, instance: int = 0) -> "Process":
        made = Process(self, self.environment | {"DESKLINE_INSTANCE": f"sla-{instance}"})
        self.processes.append(made)
        return made

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", SERVE, *words],
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )

    def told(self) -> list[tuple[UUID, str, dict[str, Any], datetime]]:
        with psycopg.connect(self.base.owner_url) as connection:
            rows = connection.execute("SELECT stream, type, data, time FROM events ORDER BY id").fetchall()
        return [(stream, kind.split(".")[2], data, at) for stream, kind, data, at in rows]

    def count(self, name: str) -> int:
        return sum(1 for _, kind, _, _ in self.told() if kind == name)

    def has_started(self, tickets: int) -> bool:
        return self.count("ClockStarted") == 2 * tickets

    def open(self, count: int) -> list[UUID]:
        ids = [uuid4() for _ in range(count)]
        self.tickets.say(*((ticket, opened(datetime.now(UTC))) for ticket in ids))
        return ids

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        for owner in (self.intake, self.tickets):
            owner.database.close()


class Process:
    """One `deskline-sla serve`."""

    def __init__(self, system: System, environment: dict[str, str]) -> None:
        self._private = system.private
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
        for line in self.log:
            if '"listening"' in line:
                return int(json.loads(line)["port"])
        assert self.process.poll() is None, "".join(self.log)
        return None

    def is_ready(self) -> bool:
        return httpx.get(f"{self.url}/readyz").status_code == 200

    def get(self, path: str) -> httpx.Response:
        identity = Identity(uuid4(), frozenset({"operator"}), "all")
        headers = {HEADER: sign(self._private, identity, "sla", datetime.now(UTC))}
        return httpx.get(self.url + path, headers=headers)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self._end()

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(15)
        self._end()
        return code

    def _end(self) -> None:
        self.process.wait(10)
        self._reading.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def system(stack: Stack, new_base: Callable[[], ServiceDatabase], tmp_path: Path) -> Iterator[System]:
    made = System(stack, new_base())
    keys = made.intake.relaying()
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(POLICY), "utf-8")
    done = made.run("policy", "put", str(file))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"id": str(UUID(int=77)), "version": 1}
    yield made
    keys.close()
    made.close()


def test_a_breach_comes_in_time_and_a_reply_that_was_committed_in_time_is_none(system: System) -> None:
    relay = system.tickets.relaying()
    process = system.start()
    until(process.is_ready, "readiness")
    late, answered_in_time = system.open(2)
    until(lambda: system.count("ClockStarted") == 4, "the clocks")
    # The relay stops; the reply is committed in time, and announced long after it was due.
    relay.close()
    committed = system.tickets.say((answered_in_time, answered()))
    until(lambda: system.count("SlaWarned") == 2, "the warnings")
    due = max(data["due_at"] for _, kind, data, _ in system.told() if kind == "SlaWarned")
    assert committed < datetime.fromisoformat(due)
    until(lambda: datetime.now(UTC) > datetime.fromisoformat(due) + timedelta(seconds=2), "due")
    assert system.count("SlaBreached") == 0
    relay = system.tickets.relaying()
    until(lambda: system.count("SlaBreached") == 1, "the breach")
    until(lambda: system.count("ClockMet") == 1, "the answer")
    found = {kind: (stream, data) for stream, kind, data, _ in system.told()}
    assert found["SlaBreached"][0] == late
    assert found["ClockMet"][0] == answered_in_time
    assert found["ClockMet"][1]["breached"] is False
    shown = process.get(f"/v1/tickets/{late}/clocks").json()["clocks"]
    assert [(one["clock"], one["breached"]) for one in shown] == [
        ("first_response", True),
        ("resolution", False),
    ]
    relay.close()
    assert process.stop() == 0


def test_two_replicas_that_are_killed_on_the_way_breach_each_ticket_once(system: System) -> None:
    relay = system.tickets.relaying()
    processes = [system.start(0), system.start(1)]
    for process in processes:
        until(process.is_ready, "readiness")
    ids: list[UUID] = []
    for number in range(8):
        ids += system.open(15)
        until(partial(system.has_started, len(ids)), "the clocks", 60)
        if number in {2, 4, 6}:
            processes[number % 4 // 2].kill()
            processes[number % 4 // 2] = system.start(number % 4 // 2)
    until(lambda: system.count("SlaBreached") >= len(ids), "the breaches", 60)
    until(processes[0].is_ready, "readiness")
    told = system.told()
    for kind in ("SlaWarned", "SlaBreached"):
        streams = [stream for stream, name, _, _ in told if name == kind]
        assert sorted(streams) == sorted(ids)
    for _, name, data, at in told:
        if name == "SlaBreached":
            assert at >= datetime.fromisoformat(data["due_at"])
    relay.close()
    assert [process.stop() for process in processes] == [0, 0]


def test_healthy_breaches_are_at_most_two_seconds_late(system: System) -> None:
    relay = system.tickets.relaying()
    process = system.start()
    until(process.is_ready, "readiness")
    system.open(1)
    until(lambda: system.count("SlaBreached") == 1, "the first breach")
    ids = system.open(40)
    until(lambda: system.count("SlaBreached") == 1 + len(ids), "the breaches")
    late = [
        at - datetime.fromisoformat(data["step_due_at"])
        for _, kind, data, at in system.told()
        if kind in {"SlaBreached", "SlaWarned"}
    ]
    assert min(late) >= timedelta()
    assert max(late) < timedelta(seconds=2)
    relay.close()
    assert process.stop() == 0


def test_the_command_line_says_what_is_wrong(system: System, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"

    def put(what: str, content: Any, *options: str) -> tuple[int, str]:
        file.write_text(json.dumps(content), "utf-8")
        done = system.run(what, "put", str(file), *options)
        return done.returncode, done.stdout + done.stderr

    again = POLICY | {"name": "Again"}
    assert put("policy", again, "--if-version", "0") == (1, "it is at version 1\n")
    assert put("policy", again, "--if-version", "1")[0] == 0
    assert put("policy", again | {"calendar_id": str(uuid4())}) == (
        1,
        "calendar_id: There is no such calendar\n",
    )
    code, said = put("policy", again | {"order": "first"})
    assert (code, "order: Input should be a valid integer" in said) == (2, True)
    assert put("policy", [])[0] == 2
    calendar = {"name": "Ночь", "zone": "Europe/Moscow", "week": [[{"start": "22:00", "end": "30:00"}]] * 7}
    assert put("calendar", calendar)[0] == 0
    assert put("calendar", calendar | {"zone": "Nowhere"}) == (1, "zone: There is no such IANA time zone\n")
    listed = [json.loads(line) for line in system.run("policy", "list").stdout.splitlines()]
    assert [(one["name"], one["version"]) for one in listed] == [("Again", 2), ("Default", 1)]
    assert len(system.run("calendar", "list").stdout.splitlines()) == 2
