"""The checker of the two services: what tables and topics say, read by the independent witness.

It imports nothing of the project, so that a mistake there can't hide itself here.
"""

import asyncio
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from tests import witness
from tests.witness import rows


@dataclass(frozen=True)
class OnTopic:
    """A record as Kafka has it."""

    partition: int
    offset: int
    key: str
    value: dict[str, Any]
    headers: dict[str, str]

    @property
    def place(self) -> tuple[str, int]:
        return self.headers["ce_subject"], int(self.headers["ce_sequence"])

    @property
    def epoch(self) -> int:
        return int(self.headers["deskline-epoch"])


@dataclass
class Findings:
    """What is wrong (nothing, one hopes) and what was seen."""

    wrong: list[str] = field(default_factory=list)
    events: int = 0
    records: int = 0
    epochs: set[int] = field(default_factory=set)

    @property
    def repeats(self) -> int:
        return self.records - self.events

    def expect(self, condition: object, said: str) -> None:
        if not condition:
            self.wrong.append(said)


@dataclass(frozen=True)
class System:
    """Where to look."""

    bootstrap: str
    prefix: str
    writer_url: str
    follower_url: str
    key_encryption_key: bytes


async def end_of(bootstrap: str, topic: str) -> int:
    """How many records were ever appended to a topic that forgets none."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        return sum((await consumer.end_offsets(partitions)).values())
    finally:
        await consumer.stop()


async def records_of(bootstrap: str, topic: str) -> list[OnTopic]:
    """All records of a topic."""
    return [
        OnTopic(
            one.partition,
            one.offset,
            (one.key or b"").decode(),
            json.loads(one.value or b"null"),
            {name: value.decode() for name, value in one.headers},
        )
        for one in await witness.read_topic(bootstrap, topic)
    ]


async def check(system: System, acknowledged: set[tuple[str, int]]) -> Findings:
    """Look at everything, after the system came to rest."""
    findings = Findings()
    names = {
        name: f"{system.prefix}deskline.{name}" for name in ("intake.events", "intake.keys", "tickets.events")
    }
    announced, noted_on_topic, wrapped = await asyncio.gather(
        records_of(system.bootstrap, names["intake.events"]),
        records_of(system.bootstrap, names["tickets.events"]),
        witness.read_topic(system.bootstrap, names["intake.keys"]),
    )
    written = _check_topic(findings, announced, system.writer_url, "intake")
    noted = _check_topic(findings, noted_on_topic, system.follower_url, "tickets")
    keys = witness.unwrapped(wrapped, system.key_encryption_key)
    _check_applied(findings, written, keys, system.follower_url)
    _check_notes(findings, written, noted)
    missing = acknowledged - set(written)
    findings.expect(not missing, f"{len(missing)} acknowledged writes are gone, as {sorted(missing)[:3]}")
    findings.events = len(written)
    findings.records = len(announced)
    findings.epochs = {one.epoch for one in announced}
    return findings


def _check_topic(
    findings: Findings, topic: list[OnTopic], url: str, owner: str
) -> dict[tuple[str, int], OnTopic]:
    stored = {
        (str(stream), sequence): (kind, json.loads(data))
        for stream, sequence, kind, data in rows(url, "SELECT stream, sequence, type, data::text FROM events")
    }
    first: dict[str, OnTopic] = {}
    last: dict[str, int] = {}
    partition: dict[str, int] = {}
    for one in topic:
        stream, sequence = one.place
        findings.expect(one.key == stream, f"{owner} {stream}: key {one.key}")
        findings.expect(one.headers["ce_source"] == f"/deskline/{owner}", f"{owner}: foreign source")
        findings.expect(
            partition.setdefault(stream, one.partition) == one.partition, f"{owner} {stream}: two partitions"
        )
        known = first.get(one.headers["ce_id"])
        if known is not None:
            findings.expect(known.place == one.place, f"{owner} {one.place}: ce_id of {known.place}")
            findings.expect(known.value == one.value, f"{owner} {one.place}: a repeat differs")
            continue
        first[one.headers["ce_id"]] = one
        findings.expect(
            sequence == last.get(stream, 0) + 1, f"{owner} {stream}: {sequence} after {last.get(stream, 0)}"
        )
        last[stream] = sequence
    places = {one.place: one for one in first.values()}
    findings.expect(len(places) == len(first), f"{owner}: two ids for one sequence")
    for place in stored.keys() - places.keys():
        findings.wrong.append(f"{owner} {place}: in the store and not on the topic")
    for place, one in places.items():
        if place not in stored:
            findings.wrong.append(f"{owner} {place}: on the topic and not in the store")
        else:
            findings.expect(
                stored[place] == (one.headers["ce_type"], one.value),
                f"{owner} {place}: differs from the store",
            )
    return places


def _open(one: OnTopic, path: str, keys: dict[str, bytes]) -> str:
    return witness.opened(one.value[path], one.headers["ce_id"], path, keys)


def _check_applied(
    findings: Findings, written: dict[tuple[str, int], OnTopic], keys: dict[str, bytes], url: str
) -> None:
    applied: dict[str, list[tuple[Any, ...]]] = {}
    statement = "SELECT stream, sequence, event, count, chain, name FROM applied ORDER BY place"
    for stream, *rest in rows(url, statement):
        applied.setdefault(str(stream), []).append(tuple(rest))
    streams: dict[str, int] = Counter(stream for stream, _ in written)
    findings.expect(applied.keys() == streams.keys(), "other streams were applied than were written")
    for stream, count in streams.items():
        chain, expected = "", []
        for sequence in range(1, count + 1):
            one = written.get((stream, sequence))
            if one is None:
                break
            name = _open(one, "name", keys)
            findings.expect(
                _open(one, "address", keys) == f"{name}@example.org", f"{stream}: another address"
            )
            chain = hashlib.sha256(f"{chain}|{one.headers['ce_id']}|{name}".encode()).hexdigest()
            expected.append((sequence, one.headers["ce_id"], sequence, chain, name))
        got = [(sequence, str(event), *rest) for sequence, event, *rest in applied.get(stream, ())]
        findings.expect(
            got == expected,
            f"{stream}: applied {[row[0] for row in got]}, written {list(range(1, count + 1))}",
        )
    for table in ("waiting_records", "parked_records"):
        left = rows(url, f"SELECT count(*) FROM {table}")[0][0]
        findings.expect(left == 0, f"{left} in {table}")
    wrong = rows(url, "SELECT count(*) FROM reader_streams WHERE parked OR waiting")[0][0]
    findings.expect(wrong == 0, f"{wrong} streams parked or waiting")


def _check_notes(
    findings: Findings, written: dict[tuple[str, int], OnTopic], noted: dict[tuple[str, int], OnTopic]
) -> None:
    for place, one in written.items():
        note = noted.get(place)
        findings.expect(
            note is not None and note.headers["ce_causationid"] == one.headers["ce_id"],
            f"{place}: its own event is missing or another's",
        )
    findings.expect(len(noted) == len(written), f"{len(noted)} notes of {len(written)} events")
