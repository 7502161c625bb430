"""An intake with a database and topics of its own, its processes, and customers who mail."""

import asyncio
import base64
import itertools
import os
import re
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic_core import from_json
from uuid_utils.compat import uuid7

from deskline_chassis.identity import HEADER, Identity, generate_keys, sign
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing, PersonKey, unseal
from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope
from deskline_events.facts import Language
from deskline_events.keys import PersonKeys
from deskline_intake.adapters.lines import add_line
from deskline_intake.ports import StoredLine
from deskline_local.stack import ServiceDatabase, Stack

KEK = bytes(range(32))
PARTITIONS = 3
LINE = "support@desk.example"
ACTOR = UUID(int=0xAC)
_numbers = itertools.count(1)


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The condition's first true value; fails after so long."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.02)


@dataclass
class Announced:
    """An event from the topic, opened with the keys from the topic."""

    envelope: Envelope
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    data: dict[str, Any]


@dataclass
class Intake:
    """An intake of its own: database, topics, folders, and processes started on demand."""

    stack: Stack
    database: ServiceDatabase
    prefix: str
    folder: Path
    environment: dict[str, str]
    signing_key: str
    processes: list["Process"] = field(default_factory=list)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.owner_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def command(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "deskline_intake.main", *arguments],
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def add_line(self, address: str = LINE, name: str = "Поддержка", language: Language = "ru") -> UUID:
        """A mail line; as the command makes it, which has tests of its own."""
        line = StoredLine(uuid7(), name, "email", address, language, disabled=False)
        with psycopg.connect(self.database.runtime_url) as connection:
            add_line(connection, line)
        return line.line_id

    def add_form(self, *options: str, name: str = "Форма на сайте") -> UUID:
        done = self.command("line", "add", "--form", "--name", name, *options)
        assert done.returncode == 0, done.stderr
        return UUID(done.stdout.strip())

    def identity(self, *roles: str, actor: UUID = ACTOR) -> dict[str, str]:
        """The header by which the gateway says who calls."""
        who = Identity(actor, frozenset(roles), "all")
        return {HEADER: sign(self.signing_key, who, "intake", datetime.now(UTC))}

    def start(self, *arguments: str, **more: str) -> "Process":
        process = Process(self, ("serve", *arguments), more)
        self.processes.append(process)
        return process

    def events(self) -> list[Announced]:
        return asyncio.run(read_topics(self.stack.bootstrap, self.prefix))

    def messages(self, count: int, seconds: float = 20.0) -> list[Announced]:
        """MessageReceived events, once as many are on the topic."""

        def found() -> list[Announced]:
            events = [e for e in self.events() if e.envelope.type.endswith("MessageReceived.v1")]
            return events if len(events) >= count else []

        events: list[Announced] = until(found, seconds)
        assert len(events) == count
        return events

    def settled(self, seconds: float = 30.0) -> None:
        """Until every stored mail was dealt with and everything is acknowledged by the broker."""
        self.settled_but(0, seconds)

    def settled_but(self, unread: int, seconds: float = 30.0) -> None:
        """As `settled`, where so many mails are read by nobody."""
        until(
            lambda: self.sql(
                "SELECT (SELECT count(*) FROM raw_messages WHERE state = 'received') = %s AND"
                " (SELECT position FROM relay) = (SELECT coalesce(max(id), 0) FROM events)",
                unread,
            )[0][0],
            seconds,
        )


class Process:
    """`deskline-intake serve` as a process of its own; the port is what it says that it listens on."""

    def __init__(self, intake: Intake, arguments: tuple[str, ...], more: dict[str, str]) -> None:
        self.intake = intake
        self.output = intake.folder / f"log-{next(_numbers)}"
        self._file = self.output.open("wb")
        self.child = subprocess.Popen(
            [sys.executable, "-m", "deskline_intake.main", *arguments],
            env=intake.environment | more,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def port_of(self, event: str) -> int:
        def found() -> "re.Match[str] | None":
            assert self.child.poll() is None, self.log
            return re.search(rf'"port":(\d+),"event":"{event}"', self.log)

        return int(until(found, 30).group(1))

    @property
    def smtp_port(self) -> int:
        return self.port_of("mail door open")

    @property
    def http_port(self) -> int:
        return self.port_of("listening")

    def call(
        self,
        method: str,
        path: str,
        *roles: str,
        json: Any = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """A call as the gateway makes it for somebody with these roles."""
        given = self.intake.identity(*roles) | ({} if key is None else {"Idempotency-Key": key})
        url = f"http://127.0.0.1:{self.http_port}{path}"
        return httpx.request(
            method, url, json=json, content=content, headers=given | (headers or {}), timeout=30
        )

    def post_form(self, line_id: UUID, key: str | None = None, **fields: Any) -> httpx.Response:
        """Fill a form; what is not said is made up."""
        body = {
            "client_key": key or f"key-{next(_numbers)}",
            "address": "anna@client.example",
            "subject": "Вопрос с сайта",
            "text": "Ничего не работает",
        }
        return self.call("POST", f"/v1/lines/{line_id}/messages", "customer", json=body | fields)

    def erase(self, contact_id: Any, key: str | None = None) -> httpx.Response:
        path = f"/v1/contacts/{contact_id}/erase"
        return self.call("POST", path, "admin", json={}, key=key or f"erase-{next(_numbers)}")

    def find(self, address: str) -> httpx.Response:
        return self.call("POST", "/v1/contacts/find", "operator", json={"address": address})

    def client(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.smtp_port, "client.example", timeout=60)

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()

    def stop(self) -> int:
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._file.close()
        return self.child.returncode

    def peak_kib(self) -> int:
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found.group(1))


@contextmanager
def new_intake(stack: Stack, folder: Path) -> Iterator[Intake]:
    name = f"intake_t{os.getpid()}_{next(_numbers)}"
    database = stack.create_service_database("intake", name)
    migrate(database.owner_url, "deskline_intake", f"{name}_runtime", f"{name}_readonly")
    prefix = f"{name}."
    private, public = generate_keys()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "DESKLINE_KAFKA": stack.bootstrap,
        "DESKLINE_TOPIC_PREFIX": prefix,
        "DESKLINE_PARTITIONS": str(PARTITIONS),
        "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(KEK).decode(),
        "DESKLINE_IDENTITY_PUBLIC_KEY": public,
        "DESKLINE_INTAKE_DATABASE_URL": database.runtime_url,
        "DESKLINE_INTAKE_MIGRATION_URL": database.owner_url,
        "DESKLINE_INTAKE_OBJECT_STORE": f"file://{folder}/objects",
        "DESKLINE_INTAKE_SMTP_PORT": "0",
        "DESKLINE_INTAKE_HTTP_PORT": "0",
        "DESKLINE_TRACE_SAMPLE": "1",
        "DESKLINE_TRACE_FILE": str(folder / "traces"),
        "TMPDIR": str(folder),
    }
    made = Intake(stack, database, prefix, folder, environment, private)
    try:
        yield made
    finally:
        for process in made.processes:
            process.stop()
        stack.drop_service_database("intake", name)


async def read_topics(bootstrap: str, prefix: str) -> list[Announced]:
    """Everything on both topics, each partition in order; the fields are opened with the keys found there."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        keys, events = topics = [f"{prefix}deskline.intake.{kind}" for kind in ("keys", "events")]
        known = await consumer.topics()
        if not set(topics) <= known:
            return []
        # A key is announced before what it seals: read after the events, none of theirs is missing.
        event_records = await _whole(consumer, events)
        return _opened(await _whole(consumer, keys), event_records)
    finally:
        await consumer.stop()


async def _whole(consumer: AIOKafkaConsumer, topic: str) -> list[Any]:
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    ends = await consumer.end_offsets(partitions)
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    records: list[Any] = []
    while any([await consumer.position(p) < ends[p] for p in partitions]):
        for found in (await consumer.getmany(timeout_ms=200)).values():
            records += found
    return records


def _opened(key_records: list[Any], event_records: list[Any]) -> list[Announced]:
    ring = KeyRing(KEK)
    keys: dict[UUID, PersonKey] = {}
    for record in key_records:
        found = PersonKeys.model_validate_json(record.value)
        if found.erased_at is not None:
            keys[found.subject] = PersonKey(0, None, found.erased_at)
        for version, wrapped in found.keys.items():
            keys[found.subject] = PersonKey(version, ring.unwrap(base64.b64decode(wrapped)))
    events = []
    for record in event_records:
        envelope = Envelope.read(record.headers)
        data = from_json(record.value)
        unseal(CATALOG[envelope.type].model, data, envelope.id, keys)
        CATALOG[envelope.type].model.model_validate(data)
        events.append(Announced(envelope, record.key, record.headers, record.value, data))
    return events


def mail(
    body: str = "Здравствуйте, ничего не работает.",
    *,
    sender: str = "anna@client.example",
    subject: str = "Вопрос",
    message_id: str | None = None,
    headers: str = "",
    to: str = LINE,
) -> bytes:
    """A small mail as a client sends it; every one has a Message-ID of its own unless told otherwise."""
    name = message_id if message_id is not None else f"<{next(_numbers)}.{os.getpid()}@client.example>"
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", "MIME-Version: 1.0"]
    lines += [f"Message-ID: {name}"] if name else []
    lines += [*headers.splitlines(), "Content-Type: text/plain; charset=utf-8", "", *body.splitlines(), ""]
    return "\r\n".join(lines).encode()


def send(process: Process, content: bytes, *, sender: str = "anna@client.example", to: Any = LINE) -> str:
    """Send a mail on a connection of its own; gives the raw id of the first line."""
    with process.client() as client:
        return deliver(client, content, sender=sender, to=to)


def deliver(client: smtplib.SMTP, content: bytes, *, sender: str = "a@client.example", to: Any = LINE) -> str:
    """As `send`, on a connection that is there; raises smtplib's exceptions."""
    client.ehlo_or_helo_if_needed()
    code, answer = client.mail(sender)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, answer, sender)
    for address in [to] if isinstance(to, str) else to:
        code, answer = client.rcpt(address)
        if code != 250:
            client.rset()
            raise smtplib.SMTPRecipientsRefused({address: (code, answer)})
    code, answer = client.data(content)
    if code != 250:
        raise smtplib.SMTPDataError(code, answer)
    return answer.split()[-1].decode()


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run the work so many times at once; the first failure is raised."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 -- raised below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
