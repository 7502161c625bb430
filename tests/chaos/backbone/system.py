"""The two services as real processes over real servers, load on them, and how to see them at rest."""

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from tests.chaos.backbone.checker import Findings, System, check, end_of
from tests.chaos.launched import PLANT
from tests.judging.poison import Poison
from tests.witness import rows

from deskline_chassis.identity import generate_keys
from deskline_chassis.migrate import migrate
from deskline_local import ports
from deskline_local.process import Child, tail
from deskline_local.stack import ServiceDatabase, Stack

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PARTITIONS = 3
STILL_SECONDS = 5.0
"""Where nothing moves for so long, what has not come does not come."""

STREAMS = 40
FOLLOWER_TABLES = """
CREATE TABLE applied (
  place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream uuid NOT NULL, sequence bigint NOT NULL,
  event uuid NOT NULL, count bigint NOT NULL, chain text NOT NULL, name text NOT NULL
);
COMMENT ON TABLE applied IS 'truth: one row for each application, unconstrained so that a second one shows';
CREATE TABLE folds (stream uuid PRIMARY KEY, count bigint NOT NULL, chain text NOT NULL);
COMMENT ON TABLE folds IS 'truth: a fold over each stream';
"""


def wait_for(what: str, condition: Callable[[], object], seconds: float = 60.0) -> Any:
    """The condition's first true answer; fails with `what` when none came in time."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while True:
        with contextlib.suppress(psycopg.OperationalError, httpx.HTTPError):
            if answer := condition():
                return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        pause.wait(0.05)


class Process:
    """A writer or a follower."""

    def __init__(self, script: str, environment: dict[str, str], log: Path) -> None:
        self.port = ports.choose()
        self.name = environment["DESKLINE_INSTANCE"]
        self.log = log
        owner = {"writer.py": "INTAKE", "follower.py": "TICKETS"}[script]
        self._environment = environment | {f"DESKLINE_{owner}_HTTP_PORT": str(self.port)}
        self._command = [sys.executable, str(HERE / script), "serve"]
        if PLANT in environment:
            name = script.removesuffix(".py")
            self._command = [sys.executable, "-m", "tests.chaos.backbone.launched", name, "serve"]
        self.url = f"http://127.0.0.1:{self.port}"
        self._asked = 0.0
        self.child = self._spawn()

    def _spawn(self) -> Child:
        return Child(self.name, self._command, self.log, env={**os.environ, **self._environment}, cwd=ROOT)

    def ready(self) -> bool:
        assert self.child.alive, f"{self.name} ended:\n{self.told()}"
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def red(self) -> bool:
        return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 503

    def figure(self, name: str) -> float:
        """A metric's sum over its labels."""
        lines = httpx.get(f"{self.url}/metrics", timeout=2).text.splitlines()
        found = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def restart(self) -> None:
        """SIGKILL, and a new process in its place."""
        self.child.kill()
        self.child = self._spawn()

    def stop(self) -> None:
        """SIGTERM; see `ended_after`."""
        self._asked = time.monotonic()
        self.child.send(signal.SIGTERM)

    def ended_after(self) -> float:
        """Seconds from the signal until it had ended; 15 where it hadn't."""
        return time.monotonic() - self._asked if self.child.wait(15) else 15.0

    def told(self) -> str:
        return tail(self.log, 400)


class Load(threading.Thread):
    """Writes to the writers until told to stop; knows what was acknowledged."""

    def __init__(self, writers: list[Process], streams: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: set[tuple[str, int]] = set()
        self.unknown = 0
        self._writers = writers
        self._streams = [str(uuid4()) for _ in range(streams)]
        self._end = threading.Event()

    def run(self) -> None:
        number = 0
        with httpx.Client(timeout=15) as client:
            while not self._end.wait(0.01):
                number += 1
                chosen = [secrets.choice(self._streams) for _ in range(12)]
                body = [{"stream": stream, "word": f"слово{number}x{n}"} for n, stream in enumerate(chosen)]
                try:
                    answer = client.post(f"{self._writers[number % len(self._writers)].url}/facts", json=body)
                    answer.raise_for_status()
                except httpx.HTTPError:
                    self.unknown += 1
                    self._end.wait(0.1)
                else:
                    self.acknowledged |= {(stream, sequence) for stream, sequence in answer.json()}

    def reach(self, more: int, seconds: float = 60.0) -> None:
        """Until so many more events were acknowledged."""
        wanted = len(self.acknowledged) + more
        wait_for(f"{more} more writes", lambda: len(self.acknowledged) >= wanted, seconds)

    def stop(self) -> None:
        self._end.set()
        self.join(30)
        assert not self.is_alive()


class Deployment:
    """Databases, topics, writers and followers of one test; `plants`: script → the mistake planted in it."""

    def __init__(self, stack: Stack, folder: Path, plants: Mapping[str, str] | None = None) -> None:
        self.stack = stack
        self._plants = dict(plants or {})
        self._folder = folder
        self.prefix = f"b{secrets.token_hex(4)}."
        self._key = secrets.token_bytes(32)
        self.writer_database = self._database("intake", "")
        self.follower_database = self._database("tickets", FOLLOWER_TABLES)
        self.writers: list[Process] = []
        self.followers: list[Process] = []
        self.loads: list[Load] = []
        self.sound = True
        self.epochs_before = (0, 0)
        self._public = generate_keys()[1]

    def _database(self, owner: str, tables: str) -> ServiceDatabase:
        name = f"{owner}_{self.prefix[1:-1]}"
        made = self.stack.create_service_database(owner, database=name)
        with psycopg.connect(made.owner_url) as connection:
            connection.execute(tables)
        migrate(made.owner_url, "deskline_events", f"{name}_runtime", f"{name}_readonly")
        return made

    @property
    def system(self) -> System:
        return System(
            self.stack.bootstrap,
            self.prefix,
            self.writer_database.owner_url,
            self.follower_database.owner_url,
            self._key,
        )

    def _environment(self, instance: str) -> dict[str, str]:
        return {
            "DESKLINE_KAFKA": self.stack.bootstrap,
            "DESKLINE_TOPIC_PREFIX": self.prefix,
            "DESKLINE_PARTITIONS": str(PARTITIONS),
            "DESKLINE_INSTANCE": instance,
            "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(self._key).decode(),
            "DESKLINE_IDENTITY_PUBLIC_KEY": self._public,
            "DESKLINE_INTAKE_DATABASE_URL": self.writer_database.runtime_url,
            "DESKLINE_TICKETS_DATABASE_URL": self.follower_database.runtime_url,
        }

    def start(self) -> None:
        """Start two of each and wait until all are ready."""
        self.sound = False
        self.loads = []
        for script, processes in (("writer.py", self.writers), ("follower.py", self.followers)):
            for number in range(len(processes), 2):
                instance = f"{script.removesuffix('.py')}-{number}"
                log = self._folder / f"{instance}.log"
                planted = {PLANT: self._plants[script]} if script in self._plants else {}
                processes.append(Process(script, self._environment(instance) | planted, log))
        for process in self.processes:
            wait_for(f"{process.name} ready", process.ready)
        self.epochs_before = self.epochs

    @property
    def epochs(self) -> tuple[int, int]:
        """The epochs under which writers and followers announce."""
        urls = self.writer_database.owner_url, self.follower_database.owner_url
        writers, followers = (int(rows(url, "SELECT epoch FROM relay")[0][0]) for url in urls)
        return writers, followers

    def raised(self) -> bool:
        """Whether both owners noticed a loss; what they announced before is to be announced anew."""
        return all(now > before for now, before in zip(self.epochs, self.epochs_before, strict=True))

    @property
    def processes(self) -> list[Process]:
        return [*self.writers, *self.followers]

    def load(self, *writers: Process) -> Load:
        """Begin to write; through all writers where none is named."""
        load = Load(list(writers) or self.writers, STREAMS)
        self.loads.append(load)
        load.start()
        return load

    def _outcome(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        statement = "SELECT count(*), coalesce(max(id), 0), (SELECT position FROM relay) FROM events"
        wrote = rows(self.writer_database.owner_url, statement)[0]
        followed = rows(self.follower_database.owner_url, statement)[0]
        return wrote, followed

    def at_rest(self) -> bool:
        """Everything that was written is announced, applied and answered by an announced event."""
        (wrote, last, position), (followed, own_last, own_position) = self._outcome()
        return wrote == followed and last == position and own_last == own_position

    def _end(self) -> int:
        return asyncio.run(end_of(self.stack.bootstrap, f"{self.prefix}deskline.intake.events"))

    def settle(self, seconds: float = 60.0, planted: Sequence[Poison] = ()) -> Findings:
        """Stop the load, wait for rest, look at everything; fails with what is wrong."""
        for load in self.loads:
            load.stop()
        try:
            wait_for("everything announced and applied", self.at_rest, seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self._outcome()} {self.look(planted).table()}") from None
        try:
            wait_for("every record is passed", lambda: self.passed() == self._end(), seconds)
        except AssertionError as late:
            places = "SELECT topic, partition, epoch, next_offset FROM positions ORDER BY 1, 2"
            where = rows(self.follower_database.owner_url, places)
            raise AssertionError(f"{late}: {self.passed()} of {self._end()}, {where}") from None
        findings = self.look(planted)
        assert not findings.wrong, findings.table()
        self.sound = True
        return findings

    def come_to_a_stop(self, seconds: float = 60.0) -> None:
        """Stop the load, and wait for rest or until nothing moves any more."""
        for load in self.loads:
            load.stop()
        seen: list[Any] = []
        since = time.monotonic()

        def stands_still() -> bool:
            nonlocal since
            now = [*self._outcome(), self.passed(), self._end()]
            if now != seen:
                seen[:], since = now, time.monotonic()
            rests = self.at_rest() and self.passed() == self._end()
            return rests or time.monotonic() - since >= STILL_SECONDS

        wait_for("rest, or that nothing moves any more", stands_still, seconds)

    def look(self, planted: Sequence[Poison] = ()) -> Findings:
        """Judge everything as it is now."""
        acknowledged = {place for load in self.loads for place in load.acknowledged}
        return asyncio.run(check(self.system, acknowledged, planted))

    def passed(self) -> int:
        """How many records of intake's the followers are through with."""
        statement = "SELECT coalesce(sum(next_offset), 0) FROM positions WHERE topic LIKE '%intake.events'"
        return int(rows(self.follower_database.owner_url, statement)[0][0])

    def writer_row(self, column: str) -> Any:
        return rows(self.writer_database.owner_url, f"SELECT {column} FROM relay")[0][0]

    def passed_term(self, term: int) -> bool:
        """Whether a relay of a later term leads."""
        return bool(self.writer_row("term") > term)

    def end(self) -> None:
        for load in self.loads:
            load.stop()
        for process in self.processes:
            process.child.kill()


class Kept:
    """A deployment that serves test after test, until one of them leaves it unsound."""

    def __init__(self, stack: Stack, folder: Callable[[], Path]) -> None:
        self._stack = stack
        self._folder = folder
        self._deployment: Deployment | None = None

    def started(self) -> Deployment:
        self._stack.start()
        if self._deployment is not None and not self._deployment.sound:
            self.end()
        if self._deployment is None:
            self._deployment = Deployment(self._stack, self._folder())
        self._deployment.start()
        return self._deployment

    def end(self) -> None:
        if self._deployment is not None:
            self._deployment.end()
            self._deployment = None
