"""I3, I4, I5 and I8 on stores and topics too large to be held in memory: read side by side, once.

A topic holds what its owner's log holds, in the log's order within each partition, and every reader has
applied it. That read models equal rebuilt ones is asked of `deskline-analytics rebuild`.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, Final

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from tests.judging import everything
from tests.judging.records import Findings
from tests.judging.settling import OWNERS, READS

from bench.company import Company, told
from bench.topics import ends
from deskline_local.system import System

MOST_TOLD: Final = 5
PAGE: Final = 5000
PATIENCE: Final = 60.0
Say = Callable[[str], None]
Key = tuple[str, int]


class Heads:
    """The next record of each partition of a topic; repeats of what was passed are left out."""

    def __init__(self, consumer: AIOKafkaConsumer, ends_: dict[TopicPartition, int]) -> None:
        self._consumer = consumer
        self._left = dict(ends_)
        self._waiting: dict[TopicPartition, list[Any]] = {place: [] for place in ends_}
        self._heads: dict[Key, tuple[TopicPartition, Any]] = {}
        self.last: dict[str, int] = {}

    async def take(self, key: Key) -> Any | None:
        """The record of this stream and sequence, if it is the next one of its partition."""
        while (found := self._heads.pop(key, None)) is None:
            if not await self._fill():
                return None
        place, record = found
        self.last[key[0]] = key[1]
        self._next(place)
        return record

    async def rest(self) -> list[Key]:
        """What nobody took."""
        while await self._fill():
            pass
        return list(self._heads)

    def _next(self, place: TopicPartition) -> None:
        waiting = self._waiting[place]
        while waiting:
            record = waiting.pop()
            headers = dict(record.headers)
            key = headers["ce_subject"].decode(), int(headers["ce_sequence"])
            if key[1] > self.last.get(key[0], 0):
                self._heads[key] = place, record
                return

    async def _fill(self) -> bool:
        """Whether more was read of a partition that had nothing left."""
        empty = [place for place, waiting in self._waiting.items() if not waiting and self._left[place]]
        headless = [place for place in empty if place not in {head[0] for head in self._heads.values()}]
        if not headless:
            return False
        found = await self._consumer.getmany(*headless, timeout_ms=1000, max_records=PAGE)
        for place, records in found.items():
            self._waiting[place] = records[::-1]
            if records[-1].offset + 1 >= self._left[place]:
                self._left[place] = 0
            self._next(place)
        return True


def judge(system: System, say: Say) -> list[str]:
    """What is wrong, in words."""
    wrong: list[str] = []
    for owner in OWNERS:
        started = time.monotonic()
        topic = f"deskline.{owner}.events"
        count, found = asyncio.run(_against_the_log(system, owner, topic, ends(system.bootstrap, [topic])))
        say(f"I3, I4 {owner}: {count:,} records compared ({time.monotonic() - started:.0f} s)")
        wrong += found[:MOST_TOLD]
    for reader, owners in READS.items():
        for owner in owners:
            wrong += _applied(system, reader, owner)[:MOST_TOLD]
    say("I5: every reader's streams and positions compared")
    started = time.monotonic()
    say(told(system, "analytics", "rebuild").strip())
    say(f"I8: rebuilt and compared ({time.monotonic() - started:.0f} s)")
    return wrong


def judge_in_memory(company: Company, say: Say) -> list[str]:
    """The judges that tests have, which hold everything: for a few thousand tickets."""

    def models(findings: Findings, topics: everything.Topics) -> None:
        everything.judge_read_models(findings, company.system, topics, company.office.admin)

    findings, _ = everything.at_rest(company.system, [], PATIENCE, models)
    say(findings.table())
    return [f"{promise}: {one}" for promise, ids in findings.wrong.items() for one in ids[:MOST_TOLD]]


async def _against_the_log(
    system: System, owner: str, topic: str, until: dict[tuple[str, int], int]
) -> tuple[int, list[str]]:
    count = 0
    wrong: list[str] = []
    places = {TopicPartition(*place): end for place, end in until.items()}
    async with AIOKafkaConsumer(
        bootstrap_servers=system.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    ) as consumer:
        consumer.assign(list(places))
        await consumer.seek_to_beginning(*places)
        heads = Heads(consumer, places)
        for stream, sequence, kind, data in _log(system.owner_url(owner)):
            count += 1
            record = await heads.take((stream, sequence))
            if record is None:
                return count, [*wrong, f"{topic}: {stream} {sequence} is not where the log has it"]
            if not _same(owner, kind, data, record):
                wrong.append(f"{topic}: {stream} {sequence} says something else than the log")
        wrong += [f"{topic}: {key} is in no log" for key in await heads.rest()]
    return count, wrong


def _log(url: str) -> Iterator[tuple[str, int, str, str]]:
    with psycopg.connect(url) as connection, connection.cursor("log") as cursor:
        cursor.itersize = PAGE
        cursor.execute("SELECT stream::text, sequence, type, data::text FROM events ORDER BY id")
        yield from cursor


def _same(owner: str, kind: str, data: str, record: Any) -> bool:
    """As they are stored, or of tickets in their public form, which is a part of it."""
    headers = dict(record.headers)
    if owner != "tickets":
        return bool(headers["ce_type"].decode() == kind and record.value == data.encode())
    stored, public = json.loads(data), json.loads(record.value)
    return all(stored.get(name, _NOWHERE) == value for name, value in public.items())


_NOWHERE: Final = object()


@contextmanager
def _streams(url: str, query: str, *values: str) -> Iterator[Iterator[Key]]:
    with psycopg.connect(url) as connection, connection.cursor("streams") as cursor:
        cursor.itersize = PAGE
        cursor.execute(query.encode(), values)
        yield iter(cursor)


def _applied(system: System, reader: str, owner: str) -> list[str]:
    """Streams whose last event the reader has not applied, or knows otherwise than their owner."""
    written = "SELECT stream::text, max(sequence) FROM events GROUP BY stream ORDER BY stream"
    known = (
        "SELECT subject::text, sequence FROM reader_streams WHERE reader = %s AND owner = %s AND NOT waiting"
        " AND NOT parked ORDER BY subject"
    )
    wrong = []
    with (
        _streams(system.owner_url(owner), written) as theirs,
        _streams(system.owner_url(reader), known, f"deskline.{reader}", owner) as ours,
    ):
        for one, other in zip_longest(theirs, ours):
            if one != other:
                wrong.append(f"{reader}: {owner}'s log has {one}, applied is {other}")
                break
    topic = f"deskline.{owner}.events"
    with psycopg.connect(system.owner_url(reader)) as connection:
        rows = connection.execute(
            "SELECT partition, next_offset FROM positions WHERE topic = %s AND reader = %s",
            (topic, f"deskline.{reader}"),
        ).fetchall()
    at: dict[int, int] = dict(rows)
    for (_, partition), end in ends(system.bootstrap, [topic]).items():
        if at.get(partition, 0) != end:
            wrong.append(f"{reader}: {topic}/{partition} is read to {at.get(partition)}, its end is {end}")
    return wrong
