"""Another company system's subscribers, as the guide prints them, run as child processes of a test."""

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from tests.judging.settling import OWNERS

from deskline_local.client import until
from deskline_local.containers import KAFKA_IMAGE
from deskline_local.jars import ensure_jars
from deskline_local.kafka import java
from deskline_local.site import Site
from deskline_local.stack import choose_kind

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "subscribe"
CONSOLE_LOCK = Path(__file__).with_name("console.lock")
PATIENCE = 60.0

Json = dict[str, Any]
Fact = tuple[str, str, int]
"""(`ce_source`, `ce_subject`, `ce_sequence`)"""


def stored(site: Site) -> dict[Fact, Json]:
    """Every fact as its owner's database has it."""
    found = {}
    for owner in OWNERS:
        with psycopg.connect(site.owner_url(owner)) as connection:
            for stream, sequence, data in connection.execute(
                "SELECT stream, sequence, data::text FROM events"
            ).fetchall():
                found[f"/deskline/{owner}", str(stream), sequence] = json.loads(data)
    return found


def out_of_order(facts: list[Fact]) -> list[Fact]:
    """Facts that are not the next of their stream: what came twice, too early or too late."""
    last: dict[tuple[str, str], int] = defaultdict(int)
    wrong = []
    for source, subject, sequence in facts:
        if sequence != last[source, subject] + 1:
            wrong.append((source, subject, sequence))
        last[source, subject] = max(sequence, last[source, subject])
    return wrong


@dataclass
class Subscriber:
    """`subscriber.py` with its state, and `show.py`, which prints it."""

    site: Site
    folder: Path
    running: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.folder / "facts.sqlite"

    @property
    def log(self) -> Path:
        return self.folder / "subscriber.log"

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "DESKLINE_KAFKA": self.site.bootstrap,
            "DESKLINE_KEY_ENCRYPTION_KEY": self.site.key_encryption_key,
            "SUBSCRIBER_STATE": str(self.state),
        }

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-W", "error", str(GUIDE / "subscriber.py")],
                env=self._environment(),
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running.wait()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What its state says; nothing before it is there."""
        self.assert_alive()
        try:
            with closing(sqlite3.connect(f"{self.state.as_uri()}?mode=ro", uri=True, timeout=10)) as state:
                return state.execute(statement).fetchall()
        except sqlite3.OperationalError:
            return []

    def assert_alive(self) -> None:
        if self.running is not None and self.running.poll() not in {None, -signal.SIGKILL}:
            raise AssertionError(f"the subscriber ended: {self.log.read_text()}")

    def facts(self) -> list[Fact]:
        """What it keeps, in the order in which it kept it."""
        return self.rows("SELECT source, subject, sequence FROM facts ORDER BY rowid")

    def epochs(self) -> dict[str, int]:
        """Topic → the least epoch of its partitions that it has read something of."""
        return dict(self.rows("SELECT topic, min(epoch) FROM positions GROUP BY topic"))

    def until_equal(self) -> list[Fact]:
        """As soon as it keeps what is stored, and nothing else."""

        def equal() -> list[Fact] | None:
            facts = self.facts()
            return facts if set(facts) == set(stored(self.site)) else None

        return until("the subscriber has what is stored", equal, PATIENCE)

    def shown(self) -> list[tuple[str, str, Json]]:
        """(type, subject, data) of each fact, as `show.py` prints it, personal fields opened."""
        if not self.rows("SELECT name FROM sqlite_master WHERE name = 'keys'"):
            return []  # it has only just begun
        done = subprocess.run(
            [sys.executable, "-W", "error", str(GUIDE / "show.py")],
            env=self._environment() | {"PYTHONUTF8": "1"},
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = [line.split("\t", 3) for line in done.stdout.splitlines()]
        return [(kind, subject, json.loads(data)) for kind, subject, _, data in lines]


@contextmanager
def subscriber(site: Site, folder: Path) -> Iterator[Subscriber]:
    """A subscriber that runs, from the beginning."""
    made = Subscriber(site, folder)
    try:
        made.start()
        yield made
        made.assert_alive()
    finally:
        made.kill()


@dataclass
class Console:
    """`console.sh` and what it printed until now."""

    running: subprocess.Popen[bytes]
    output: Path

    def lines(self) -> list[list[str]]:
        """(time, type, subject, sequence, data) of each whole line."""
        assert self.running.poll() is None, self.output.with_suffix(".log").read_text()
        text = self.output.read_text(encoding="utf-8")
        return [line.split("\t", 4) for line in text[: text.rfind("\n") + 1].splitlines()]

    def facts(self) -> list[Fact]:
        return [(f"/deskline/{kind.split('.')[1]}", stream, int(n)) for _, kind, stream, n, _ in self.lines()]


@contextmanager
def console(site: Site, folder: Path) -> Iterator[Console]:
    """The console consumer that runs, from the beginning."""
    output = folder / "console.txt"
    environment = os.environ | {
        "DESKLINE_KAFKA": site.bootstrap,
        "KAFKA_CONSOLE_CONSUMER": str(_console_consumer(folder)),
    }
    with output.open("wb") as out, output.with_suffix(".log").open("wb") as log:
        running = subprocess.Popen(
            [str(GUIDE / "console.sh")], env=environment, stdout=out, stderr=log, start_new_session=True
        )
    try:
        yield Console(running, output)
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(timeout=PATIENCE)


def _console_consumer(folder: Path) -> Path:
    """What a Kafka installation has as bin/kafka-console-consumer.sh, here of the image or of the jars."""
    if choose_kind(None) == "containers":
        tool = "/opt/kafka/bin/kafka-console-consumer.sh"
        command = ["docker", "run", "--rm", "--network", "host", KAFKA_IMAGE, tool]
    else:
        jars = [*ensure_jars(print, lock=CONSOLE_LOCK), *ensure_jars(print)]
        main = "org.apache.kafka.tools.consumer.ConsoleConsumer"
        command = [java(), "-Xmx256m", "-cp", os.pathsep.join(str(jar) for jar in jars), main]
    script = folder / "kafka-console-consumer.sh"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    script.chmod(0o755)
    return script
