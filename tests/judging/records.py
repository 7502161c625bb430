"""The independent checker: reads stores and topics with code of its own and judges what was promised.

It imports nothing of `deskline_*`; fields are opened with keys that it reads from the keys topic itself.
"""

import asyncio
import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from sys import intern
from typing import Any

from tests import witness

Json = dict[str, Any]

# Of these headers a topic holds few values, each in every record.
FEW = {"ce_source", "ce_type", "ce_specversion", "content-type", "deskline-epoch", "deskline-generation"}


@dataclass(frozen=True)
class Published:
    """One record of an events topic; `put_at` is when it was given to the broker."""

    topic: str
    partition: int
    offset: int
    headers: dict[str, str]
    value: bytes
    put_at: datetime | None = None

    @property
    def stream(self) -> str:
        return self.headers["ce_subject"]

    @cached_property
    def sequence(self) -> int:
        return int(self.headers["ce_sequence"])

    @property
    def id(self) -> str:
        return self.headers["ce_id"]

    @property
    def type(self) -> str:
        return self.headers["ce_type"]

    @cached_property
    def name(self) -> str:
        return intern(self.type.split(".")[2])

    @cached_property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.headers["ce_time"])

    @cached_property
    def epoch(self) -> int:
        """The relay's, which rises where the broker lost something; 0 where it does not say."""
        return int(self.headers.get("deskline-epoch", 0))

    @cached_property
    def data(self) -> Json:
        loaded: Json = json.loads(self.value)
        return loaded


class Topic(list[Published]):
    """The records of a topic, which are asked many questions and do not change."""

    @cached_property
    def streams(self) -> dict[str, list[Published]]:
        """Per stream, each event where it stands for the first time, in the order of the topic."""
        return _streams(self)


def published(bootstrap: str, topic: str) -> Topic:
    """The records of an events topic."""
    return Topic(
        Published(
            intern(r.topic),
            r.partition,
            r.offset,
            {intern(name): _text(name, value) for name, value in r.headers},
            r.value or b"",
            datetime.fromtimestamp(r.timestamp / 1000, UTC),
        )
        for r in asyncio.run(witness.read_topic(bootstrap, topic))
    )


def _text(name: str, value: bytes) -> str:
    return intern(value.decode()) if name in FEW else value.decode()


def person_keys(bootstrap: str, topic: str, key_encryption_key: str) -> dict[str, bytes]:
    """Person → key, as the topic has it now; erased persons have none."""
    records = asyncio.run(witness.read_topic(bootstrap, topic))
    return witness.unwrapped(records, base64.b64decode(key_encryption_key))


@dataclass
class Findings:
    """What was found wrong, promise by promise, with the ids to look at."""

    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    checked: Counter[str] = field(default_factory=Counter)

    def check(self, promise: str, holds: bool, what: str) -> None:
        self.checked[promise] += 1
        if not holds:
            self.wrong[promise].append(what)

    def table(self) -> str:
        lines = [
            f"{promise:12} checked {count:6}  violated {len(self.wrong.get(promise, []))}"
            for promise, count in sorted(self.checked.items())
        ]
        for promise, ids in sorted(self.wrong.items()):
            lines += [f"{promise}: {one}" for one in ids[:10]]
        return "\n".join(lines)


def first_occurrences(records: Iterable[Published]) -> dict[str, list[Published]]:
    """Per stream, each event where it stands for the first time, in the order of the topic."""
    return records.streams if isinstance(records, Topic) else _streams(records)


def _streams(records: Iterable[Published]) -> dict[str, list[Published]]:
    seen: set[str] = set()
    streams: dict[str, list[Published]] = defaultdict(list)
    for record in records:
        if record.id not in seen:
            seen.add(record.id)
            streams[record.stream].append(record)
    return dict(streams)


def facts(records: Iterable[Published], *names: str) -> list[Published]:
    """The first occurrences of events of these names."""
    return [one for events in first_occurrences(records).values() for one in events if one.name in names]


def check_order(findings: Findings, records: list[Published]) -> None:
    """I3: first occurrences are 1..n, dense, in one partition; repeats say the same.

    Where the broker lost something all of it was announced anew: the newest epoch has everything, in order.
    """
    partitions: dict[str, set[int]] = defaultdict(set)
    values: dict[str, set[bytes]] = defaultdict(set)
    newest = max((record.epoch for record in records), default=0)
    for record in records:
        partitions[record.stream].add(record.partition)
        values[record.id].add(record.value)
    told = _streams(record for record in records if record.epoch == newest)
    for stream, known in first_occurrences(records).items():
        sequences = [event.sequence for event in told.get(stream, ())]
        last = max(event.sequence for event in known)
        in_order = sequences == list(range(1, last + 1))
        findings.check("I3 order", in_order, f"{stream}: {last} events, in epoch {newest} {sequences[:20]}")
        findings.check("I3 order", len(partitions[stream]) == 1, f"{stream} in {partitions[stream]}")
    for identity, said in values.items():
        findings.check("I3 repeats", len(said) == 1, f"{identity} says {len(said)} things")


def check_store(findings: Findings, records: list[Published], owner_url: str) -> None:
    """I3, I4: what is on the topic is what is in the store, no more and no less."""
    stored = {
        (str(stream), sequence): json.loads(data)
        for stream, sequence, data in witness.rows(
            owner_url, "SELECT stream, sequence, data::text FROM events"
        )
    }
    on_topic = {(r.stream, r.sequence): r.data for r in records}
    findings.check(
        "I4 complete", on_topic.keys() == stored.keys(), f"{on_topic.keys() ^ stored.keys()}"[:500]
    )
    for place, data in on_topic.items():
        kept = stored.get(place, {})
        same = all(kept.get(name) == value for name, value in data.items())
        findings.check("I3 store", same, f"{place}")
