"""The checker of the two services: what tables and topics say, read by the independent witness.

It imports nothing of the project, so that a mistake there can't hide itself here.
"""

import asyncio
import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from tests import witness
from tests.judging import poison, records
from tests.judging.poison import Poison
from tests.witness import Record, rows

READER = "deskline.tickets"
STORED = "SELECT stream, sequence FROM events"


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
class Findings(records.Findings):
    """What is wrong (nothing, one hopes), promise by promise, and what was seen."""

    events: int = 0
    records: int = 0
    epochs: set[int] = field(default_factory=set)

    @property
    def repeats(self) -> int:
        return self.records - self.events


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


def records_of(read: Iterable[Record], planted: Iterable[Poison] = ()) -> list[OnTopic]:
    """The owner's own records of a topic."""
    places = {one.place for one in planted}
    return [
        OnTopic(
            one.partition,
            one.offset,
            (one.key or b"").decode(),
            json.loads(one.value or b"null"),
            {name: value.decode() for name, value in one.headers},
        )
        for one in read
        if (one.topic, one.partition, one.offset) not in places
    ]


async def check(
    system: System, acknowledged: set[tuple[str, int]], planted: Sequence[Poison] = ()
) -> Findings:
    """Look at everything, after the system came to rest."""
    findings = Findings()
    events, notes, keys = await asyncio.gather(
        *(
            witness.read_topic(system.bootstrap, f"{system.prefix}deskline.{name}")
            for name in ("intake.events", "tickets.events", "intake.keys")
        )
    )
    announced = records_of(events, planted)
    written = _check_topic(findings, announced, system.writer_url, "intake")
    noted = _check_topic(findings, records_of(notes), system.follower_url, "tickets")
    _check_keys(findings, keys, system.writer_url)
    _check_applied(findings, written, witness.unwrapped(keys, system.key_encryption_key), system)
    _check_left(findings, system.follower_url, planted)
    _check_notes(findings, written, noted)
    kept = {(str(stream), number) for stream, number in rows(system.writer_url, STORED)}
    missing = sorted(acknowledged - kept)
    findings.check("I2 kept", not missing, f"{len(missing)} acknowledged writes are gone, as {missing[:3]}")
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
        findings.check("I3 key", one.key == stream, f"{owner} {stream}: key {one.key}")
        findings.check(
            "I3 source", one.headers["ce_source"] == f"/deskline/{owner}", f"{owner}: foreign source"
        )
        alone = partition.setdefault(stream, one.partition) == one.partition
        findings.check("I3 partition", alone, f"{owner} {stream}: two partitions")
        known = first.get(one.headers["ce_id"])
        if known is not None:
            findings.check("I3 id", known.place == one.place, f"{owner} {one.place}: ce_id of {known.place}")
            findings.check("I3 repeats", known.value == one.value, f"{owner} {one.place}: a repeat differs")
            continue
        first[one.headers["ce_id"]] = one
        after = last.get(stream, 0)
        findings.check("I3 order", sequence == after + 1, f"{owner} {stream}: {sequence} after {after}")
        last[stream] = sequence
    places = {one.place: one for one in first.values()}
    findings.check("I3 id", len(places) == len(first), f"{owner}: two ids for one sequence")
    for place in stored:
        findings.check("I4 complete", place in places, f"{owner} {place}: in the store and not on the topic")
    for place, one in places.items():
        findings.check("I4 committed", place in stored, f"{owner} {place}: on the topic and not in the store")
        same = stored.get(place) == (one.headers["ce_type"], one.value)
        findings.check("I3 store", same or place not in stored, f"{owner} {place}: differs from the store")
    return places


def _check_keys(findings: Findings, topic: Iterable[Record], url: str) -> None:
    """The newest record of a person is what the store has of them; compaction keeps no other."""
    newest = {one.key.decode(): json.loads(one.value) for one in topic}
    statement = "SELECT subject::text, wrapped, erased_at IS NOT NULL FROM person_keys"
    for person, wrapped, erased in rows(url, statement):
        told = newest.get(person)
        findings.check("I4 keys", told is not None, f"nothing is announced of the key of {person}")
        if told is None:
            continue
        if erased:
            gone = "erased_at" in told and not told.get("keys")
            findings.check("I14 announced", gone, f"the newest record of {person} has {sorted(told)}")
        else:
            same = told.get("keys") == {"1": base64.b64encode(wrapped).decode()}
            findings.check("I4 keys", same, f"another key of {person} is announced")


def _open(one: OnTopic, path: str, keys: Mapping[str, bytes]) -> str:
    return witness.opened(one.value[path], one.headers["ce_id"], path, dict(keys))


def _check_applied(
    findings: Findings, written: dict[tuple[str, int], OnTopic], keys: Mapping[str, bytes], system: System
) -> None:
    applied: dict[str, list[tuple[Any, ...]]] = {}
    statement = "SELECT stream, sequence, event, count, chain, name FROM applied ORDER BY place"
    for stream, *rest in rows(system.follower_url, statement):
        applied.setdefault(str(stream), []).append(tuple(rest))
    streams: dict[str, int] = Counter(stream for stream, _ in written)
    findings.check("I5 streams", applied.keys() == streams.keys(), "other streams were applied than written")
    erased = {
        one
        for (one,) in rows(
            system.writer_url, "SELECT subject::text FROM person_keys WHERE erased_at IS NOT NULL"
        )
    }
    for stream, count in streams.items():
        got = [(sequence, str(event), *rest) for sequence, event, *rest in applied.get(stream, ())]
        expected = _expected(findings, stream, count, written, {} if stream in erased else keys)
        if stream in erased:
            # What was said can't be read any more.
            got, expected = [row[:3] for row in got], [row[:3] for row in expected]
        findings.check(
            "I5 applied",
            got == expected,
            f"{stream}: applied {[row[0] for row in got]}, written {list(range(1, count + 1))}",
        )


def _expected(
    findings: Findings,
    stream: str,
    count: int,
    written: dict[tuple[str, int], OnTopic],
    keys: Mapping[str, bytes],
) -> list[tuple[Any, ...]]:
    """The rows that a stream is to have; without its person's key their words are not known."""
    chain, expected = "", []
    for sequence in range(1, count + 1):
        one = written.get((stream, sequence))
        if one is None:
            break
        name = ""
        if stream in keys:
            name = _open(one, "name", keys)
            address = _open(one, "address", keys)
            findings.check("I3 sealed", address == f"{name}@example.org", f"{stream}: another address")
        chain = hashlib.sha256(f"{chain}|{one.headers['ce_id']}|{name}".encode()).hexdigest()
        expected.append((sequence, one.headers["ce_id"], sequence, chain, name))
    return expected


def _check_left(findings: Findings, url: str, planted: Sequence[Poison]) -> None:
    poison.check_parked(findings, READER, planted, poison.parked_by(url), deaths=())
    left = rows(url, "SELECT count(*) FROM waiting_records")[0][0]
    findings.check("I5 waiting", left == 0, f"{left} records wait")
    broken = len({one.stream for one in planted if one.stream})
    parked, waiting = rows(
        url, "SELECT count(*) FILTER (WHERE parked), count(*) FILTER (WHERE waiting) FROM reader_streams"
    )[0]
    findings.check("I9 streams", parked == broken, f"{parked} streams are parked, {broken} are broken")
    findings.check("I5 waiting", waiting == 0, f"{waiting} streams wait")


def _check_notes(
    findings: Findings, written: dict[tuple[str, int], OnTopic], noted: dict[tuple[str, int], OnTopic]
) -> None:
    for place, one in written.items():
        note = noted.get(place)
        findings.check(
            "I5 answered",
            note is not None and note.headers["ce_causationid"] == one.headers["ce_id"],
            f"{place}: its own event is missing or another's",
        )
    findings.check("I5 once", len(noted) == len(written), f"{len(noted)} notes of {len(written)} events")
