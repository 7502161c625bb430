"""Events per second of the relay alone and of a reader with effects in its database.

Nothing else runs then but Kafka and PostgreSQL.
"""

import base64
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import psycopg

from bench.chassis.counting import TABLE
from bench.load.client import ROOT
from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.identity import generate_keys
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_events.intake import ContactRegistered
from deskline_local.process import Child
from deskline_local.stack import ServiceDatabase, Stack, open_stack

EVENTS: Final = int(os.environ.get("EVENTS", "60000"))
PEOPLE: Final = 20_000
BATCH: Final = 500
PATIENCE: Final = 120.0
APPLIED: Final = "SELECT coalesce(sum(next_offset), 0)::bigint FROM positions WHERE topic LIKE '%.events'"


class NoProgressError(Exception):
    """A process did not do its work in time."""


class Chassis:
    """Two databases, and the processes that work on them one after the other."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._key = os.urandom(32)
        self._log = self._database("intake", "SELECT 1")
        self._counts = self._database("tickets", TABLE)
        self._public = generate_keys()[1]

    def _database(self, owner: str, tables: str) -> ServiceDatabase:
        made = self._stack.create_service_database(owner)
        with psycopg.connect(made.owner_url) as connection:
            connection.execute(tables)
        migrate(made.owner_url, "deskline_events", f"{owner}_runtime", f"{owner}_readonly")
        return made

    def write(self) -> None:
        """Fill the log, personal fields sealed."""
        ring, database = KeyRing(self._key), Database(self._log.runtime_url, "bench")
        database.open()
        log, people = EventLog("intake", ring), [uuid4() for _ in range(PEOPLE)]
        for first in range(0, EVENTS, BATCH):
            chosen = [people[number % PEOPLE] for number in range(first, first + BATCH)]
            with database.transaction() as connection:
                log.lock(connection)
                ring.register(connection, chosen)
                facts = [
                    ContactRegistered(contact_id=one, address=f"{one}@x.example", name="Имя", locale="ru")
                    for one in chosen
                ]
                log.append(
                    connection,
                    [NewEvent(one, fact, Cause(uuid4())) for one, fact in zip(chosen, facts, strict=True)],
                )
        database.close()

    def environment(self) -> dict[str, str]:
        return {
            "DESKLINE_KAFKA": self._stack.bootstrap,
            "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(self._key).decode(),
            "DESKLINE_IDENTITY_PUBLIC_KEY": self._public,
            "DESKLINE_INTAKE_DATABASE_URL": self._log.runtime_url,
            "DESKLINE_TICKETS_DATABASE_URL": self._counts.runtime_url,
            "DESKLINE_INTAKE_HTTP_PORT": "0",
            "DESKLINE_TICKETS_HTTP_PORT": "0",
        }

    @contextmanager
    def _process(self, what: str, environment: Mapping[str, str]) -> Iterator[Child]:
        command = [sys.executable, "-m", f"bench.chassis.{what}", "serve"]
        log = self._folder / f"{what}.log"
        child = Child(what, command, log, env={**os.environ, **environment}, cwd=ROOT)
        try:
            yield child
        finally:
            child.kill()

    def relay_rate(self) -> float:
        """Announce the whole log, under an epoch of its own."""
        with psycopg.connect(self._log.owner_url, autocommit=True) as owner:
            owner.execute("UPDATE relay SET position = 0, keys_position = 0, epoch = epoch + 1")
            with self._process("announcing", self.environment()) as child:
                return _rate(owner, child, "SELECT position FROM relay")

    def reader_rate(self) -> float:
        """Apply what was announced once, by a reader that has applied nothing yet and knows everybody's keys.

        Without the keys most records would come before them, and wait in a table.
        """
        with psycopg.connect(self._counts.owner_url, autocommit=True) as owner:
            owner.execute("TRUNCATE told, positions, reader_streams, waiting_records")
            self._learn(owner)
            with self._process("counting", self.environment()) as child:
                return _rate(owner, child, APPLIED)

    def _learn(self, owner: "psycopg.Connection[tuple[int]]") -> None:
        with psycopg.connect(self._log.owner_url) as log:
            rows = log.execute("SELECT subject, version, wrapped FROM person_keys").fetchall()
        with owner.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO known_keys (subject, version, wrapped) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                rows,
            )


def _rate(owner: "psycopg.Connection[tuple[int]]", child: Child, statement: str) -> float:
    """Per second, from the first progress to the end of it."""
    deadline = time.monotonic() + PATIENCE
    first, since = 0, 0.0
    while True:
        row = owner.execute(statement).fetchone()
        now, done = time.perf_counter(), 0 if row is None else row[0]
        if done >= EVENTS and first:
            return (done - first) / (now - since)
        if done and not first:
            first, since = done, now
        if time.monotonic() > deadline or not child.alive:
            raise NoProgressError(f"{child.name}: {done} of {EVENTS} events, see {child.log}")
        time.sleep(0.01)


@contextmanager
def chassis(say: Callable[[str], None]) -> Iterator[Chassis]:
    """Both servers, and a log that is full."""
    with (
        tempfile.TemporaryDirectory(prefix="deskline-bench-") as folder,
        open_stack(Path(folder) / "stack", progress=say) as stack,
    ):
        made = Chassis(stack, Path(folder))
        started = time.monotonic()
        made.write()
        say(f"{EVENTS} events written ({time.monotonic() - started:.1f} s)")
        yield made
