"""Looks at the running system from beside it: who died when, who is ready, and what has moved."""

import asyncio
import contextlib
import signal
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from tests.chaos.healing import Standing
from tests.judging.settling import OWNERS, READS
from tests.witness import rows

from deskline_local.system import System

LOOK_SECONDS = 0.05
BLUR = timedelta(milliseconds=300)
PROBE_SECONDS = 2.0
ASK_SECONDS = 5.0
BEHIND = 100
EVENTS = "deskline.%.events"
RELAY = "SELECT position, coalesce((SELECT max(id) FROM events), 0) - position FROM relay"
"""Where an owner's relay is, and how many events it has not announced."""


@dataclass
class Watch:
    """`ports` are those at which each process tells how it fares."""

    system: System
    ports: dict[str, int]
    deaths: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    codes: dict[str, list[int]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        before = datetime.now(UTC)
        while not self._ended.wait(LOOK_SECONDS):
            now = datetime.now(UTC)
            for name in self.ports:
                codes = self.system.supervisor.exit_codes(name)
                if len(codes) > len(self.codes.get(name, ())):
                    # Where we could not look for a while it was at any moment between.
                    self.deaths[name] += [now] if now - before < BLUR else [before, now]
                    self.codes[name] = codes
            before = now

    def kills(self) -> int:
        """How many lives of services ended by SIGKILL."""
        return sum(code == -signal.SIGKILL for codes in self.codes.values() for code in codes)

    def restarts(self) -> int:
        """How many lives of services ended, however."""
        return sum(map(len, self.codes.values()))

    def red(self) -> dict[str, str]:
        """Process → why it is not ready."""
        found: dict[str, str] = {}
        with httpx.Client(timeout=PROBE_SECONDS, trust_env=False) as client:
            for name, port in self.ports.items():
                try:
                    answer = client.get(f"http://127.0.0.1:{port}/readyz")
                except httpx.HTTPError as error:
                    found[name] = type(error).__name__
                else:
                    if not answer.is_success:
                        found[name] = answer.text
        return found

    def standing(self) -> Standing | None:
        """How far every loop is; None while the servers can't be asked."""
        found: dict[str, int] = {}
        unannounced: dict[str, int] = {}
        try:
            for owner in OWNERS:
                ((found[f"relay of {owner}"], unannounced[owner]),) = rows(
                    self.system.owner_url(owner), RELAY
                )
            for reader in READS:
                statement = "SELECT coalesce(sum(next_offset), 0)::bigint FROM positions"
                ((position,),) = rows(self.system.owner_url(reader), statement)
                found[f"reader of {reader}"] = position
            return Standing(found | asyncio.run(self._watermarks()), unannounced)
        except (psycopg.Error, KafkaError, OSError, TimeoutError):
            return None

    async def _watermarks(self) -> dict[str, int]:
        places = {owner: TopicPartition(f"deskline.{owner}.watermarks", 0) for owner in OWNERS}
        ends = await self._ends(list(places.values()))
        return {f"watermark of {owner}": ends[place] for owner, place in places.items()}

    async def _ends(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.system.bootstrap, request_timeout_ms=5000)
        async with asyncio.timeout(ASK_SECONDS):
            await consumer.start()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found: dict[TopicPartition, int] = await consumer.end_offsets(places)
                return found
        finally:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), ASK_SECONDS)

    def caught_up(self) -> bool:
        """Whether nothing waits since an outage on the way from the mail door to the clocks."""
        unread = "SELECT count(*) FROM raw_messages WHERE state = 'received'"
        try:
            ((waiting,),) = rows(self.system.owner_url("intake"), unread)
            behind = waiting + self._behind("intake", "tickets") + self._behind("tickets", "sla")
        except (psycopg.Error, KafkaError, OSError, TimeoutError):
            return False
        return bool(behind < BEHIND)

    def _behind(self, owner: str, reader: str) -> int:
        """Events that the owner has not announced, and records that the reader has not passed."""
        ((_, unannounced),) = rows(self.system.owner_url(owner), RELAY)
        return int(unannounced) + self._unread(reader, f"deskline.{owner}.events")

    def unread(self) -> int | None:
        """Records that the reader which is furthest behind has not passed; None while that can't be asked."""
        try:
            return max(self._unread(reader, EVENTS) for reader in READS)
        except (psycopg.Error, KafkaError, OSError, TimeoutError):
            return None

    def _unread(self, reader: str, topics: str) -> int:
        statement = f"SELECT topic, partition, next_offset FROM positions WHERE topic LIKE '{topics}'"
        found = {
            TopicPartition(topic, number): offset
            for topic, number, offset in rows(self.system.owner_url(reader), statement)
        }
        ends = asyncio.run(self._ends(list(found)))
        return sum(_to_pass(found[place], end) for place, end in ends.items())

    def terms(self, owner: str) -> int:
        """How many leaders the owner's relay has had."""
        ((term,),) = rows(self.system.owner_url(owner), "SELECT term FROM relay")
        return int(term)


def _to_pass(position: int, end: int) -> int:
    # Beyond the end lies what the broker lost, which the reader has not noticed: it has not caught up with
    # anything, however little is there by now.
    return end - position if position <= end else position


def seconds_until(holds: object, within: float) -> float:
    """How long it took until a question was answered with yes; infinite where it was not in time."""
    assert callable(holds)
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > within:
            return float("inf")
        time.sleep(0.25)
    return time.monotonic() - began
