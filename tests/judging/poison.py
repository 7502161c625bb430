"""I9: what can't be read is parked with its cause, soon, and it alone; all other streams go on.

"Within 10 s" is judged from the moment at which a record was on its topic. A reader that was killed shortly
before, or before it came to the record, has the 30 s in which everything is to work again after a fault.
What is planted is known by what it says, wherever it comes to lie: a broker may lose it, and repeat it.
"""

import asyncio
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
from aiokafka import AIOKafkaProducer
from tests.judging.records import Findings, Published, Topic

PARKED_WITHIN = timedelta(seconds=10)
HEALED_WITHIN = timedelta(seconds=30)
Place = tuple[str, int, int]
UNREADABLE = b"\xff not an event"
NO_ENVELOPE = "UnreadableError: ce_specversion is not 1.0"
BROKEN = "UnreadableError: ValidationError: "
FOLLOWS = "follows a parked record"


@dataclass(frozen=True)
class Poison:
    """A record that nobody can read, where it lies and since when; `cause` is how its cause begins.

    `id` and `stream` are told by those that are events. One without a cause can be read, and is no poison.
    """

    topic: str
    partition: int
    offset: int
    at: datetime
    value: bytes
    cause: str
    id: str | None = None
    stream: str | None = None

    @property
    def place(self) -> Place:
        return self.topic, self.partition, self.offset

    @property
    def owner(self) -> str:
        """Whose topic it lies on."""
        return self.topic.split(".")[-2]

    @property
    def says(self) -> str | bytes:
        """By what it is known."""
        return self.id or self.value


@dataclass(frozen=True)
class Parked:
    """What a reader has parked."""

    topic: str
    partition: int
    offset: int
    since: datetime
    value: bytes
    cause: str
    id: str | None = None

    @property
    def place(self) -> Place:
        return self.topic, self.partition, self.offset

    @property
    def says(self) -> str | bytes:
        return self.id or self.value


def plant(bootstrap: str, topic: str, *, broken: str | None = None) -> list[Poison]:
    """Put what is no event at all on every partition of a topic; with `broken`, a type of the topic's owner,
    also a stream whose first event of that type has no data, and whose second one is like it.
    """
    drafts: list[_Draft] = []
    if broken is not None:
        stream = str(uuid4())
        drafts = [
            _Draft(stream.encode(), b"{}", cause, _headers(topic, broken, stream, sequence))
            for sequence, cause in ((1, BROKEN), (2, FOLLOWS))
        ]

    async def send() -> list[Poison]:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            numbers = sorted(await producer.partitions_for(topic))
            noise = [_Draft(b"nobody", UNREADABLE + uuid4().bytes, NO_ENVELOPE) for _ in numbers]
            planted = [
                await _put(producer, topic, number, draft)
                for number, draft in zip(numbers, noise, strict=True)
            ]
            return planted + [await _put(producer, topic, 0, draft) for draft in drafts]

    return asyncio.run(send())


@dataclass(frozen=True)
class _Draft:
    key: bytes
    value: bytes
    cause: str
    headers: Sequence[tuple[str, bytes]] = ()


async def _put(producer: AIOKafkaProducer, topic: str, partition: int, draft: _Draft) -> Poison:
    kept = await producer.send_and_wait(
        topic, draft.value, key=draft.key, partition=partition, headers=list(draft.headers)
    )
    at = datetime.fromtimestamp(kept.timestamp / 1000, UTC)
    told = {name: value.decode() for name, value in draft.headers}
    identity, stream = told.get("ce_id"), told.get("ce_subject")
    return Poison(topic, partition, kept.offset, at, draft.value, draft.cause, identity, stream)


def _headers(topic: str, kind: str, stream: str, sequence: int) -> list[tuple[str, bytes]]:
    told = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": f"/deskline/{topic.split('.')[-2]}",
        "ce_type": kind,
        "ce_time": datetime.now(UTC).isoformat(),
        "ce_subject": stream,
        "ce_sequence": str(sequence),
        "ce_correlationid": str(uuid4()),
        "deskline-epoch": "1",
        "deskline-generation": "1",
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in told.items()]


def without(records: Iterable[Published], planted: Iterable[Poison]) -> Topic:
    """The owner's own records."""
    places = {one.place: one.value for one in planted if one.id is None}
    says = {one.says for one in planted}
    return Topic(
        one
        for one in records
        if one.headers.get("ce_id", one.value) not in says
        and places.get((one.topic, one.partition, one.offset)) != one.value
    )


def parked_by(url: str) -> list[Parked]:
    """What the reader of a database has parked."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT topic, partition, record_offset, since, value, cause, headers FROM parked_records"
        ).fetchall()
    return [
        Parked(topic, partition, offset, since, bytes(value or b""), cause, _id_in(headers))
        for topic, partition, offset, since, value, cause, headers in rows
    ]


def _id_in(kept: bytes) -> str | None:
    return dict(json.loads(bytes(kept))).get("ce_id")


def check_parked(
    findings: Findings,
    reader: str,
    planted: Sequence[Poison],
    parked: Sequence[Parked],
    deaths: Sequence[datetime],
    *,
    losses: Sequence[datetime] = (),
) -> list[float]:
    """Each was parked as it was, with its cause, in time, and nothing else was; seconds that it took.

    `losses` are moments at which the broker lost everything: what it lost before its time was not parked.
    """
    found = {one.place: one for one in parked}
    # A place is taken anew in each life of the broker.
    for (place, told), count in Counter((one.place, one.says) for one in parked).items():
        findings.check("I9 once", count == 1, f"{reader} parked {told!r} at {place} {count} times")
    first: dict[str | bytes, Parked] = {}
    for kept in sorted(parked, key=lambda one: one.since, reverse=True):
        first[kept.says] = kept
    poisoned = [one for one in planted if one.cause]
    places, says = {one.place for one in poisoned}, {one.says for one in poisoned}
    for kept in parked:
        alone = kept.place in places or kept.says in says
        findings.check("I9 it alone", alone, f"{reader} parked {kept.place} for {kept.cause}")
    deaths = sorted(deaths)
    took: list[float] = []
    for one in poisoned:
        parked_one = first.get(one.says) or found.get(one.place)
        if parked_one is None and any(one.at <= lost <= one.at + HEALED_WITHIN for lost in losses):
            continue
        findings.check("I9 parked", parked_one is not None, f"{reader} did not park {one.place}")
        if parked_one is None:
            continue
        kept = parked_one
        findings.check("I9 cause", kept.cause.startswith(one.cause), f"{reader} {one.place}: {kept.cause}")
        findings.check("I9 kept", kept.value == one.value, f"{reader} {one.place} was changed")
        since, within = allowance(one.at, kept.since, deaths)
        promise = "I9 in 10 s" if within == PARKED_WITHIN else "I9 in 30 s"
        after = kept.since - since
        findings.check(promise, after <= within, f"{reader} {one.place} after {after}")
        took.append((kept.since - one.at).total_seconds())
    return took


def check_flow(
    findings: Findings,
    reader: str,
    planted: Sequence[Poison],
    *,
    read: Iterable[Published],
    made: Iterable[Published],
    deaths: Sequence[datetime],
) -> int:
    """Records behind the poison had their effect in the same time; how many were looked at.

    `read` are records of the poisoned topic, `made` what the reader announced because of them.
    """
    effects: dict[str, datetime] = {}
    for event in made:
        cause = event.headers.get("ce_causationid", "")
        effects[cause] = min(event.time, effects.get(cause, event.time))
    deaths = sorted(deaths)
    first: dict[tuple[str, int], int] = {}
    for one in planted:
        place = one.topic, one.partition
        first[place] = min(one.offset, first.get(place, one.offset))
    looked = 0
    for event in read:
        behind = event.offset > first.get((event.topic, event.partition), event.offset)
        if not behind or event.id not in effects:
            continue
        since, within = allowance(event.put_at or event.time, effects[event.id], deaths)
        after = effects[event.id] - since
        findings.check("I9 flow", after <= within, f"{reader} {event.id} after {after}")
        looked += 1
    return looked


def allowance(at: datetime, until: datetime, deaths: Sequence[datetime]) -> tuple[datetime, timedelta]:
    """From when on how long it may take: 10 s, or 30 s since the last of the (sorted) deaths."""
    before = bisect_right(deaths, until)
    if before == 0 or deaths[before - 1] < at - HEALED_WITHIN:
        return at, PARKED_WITHIN
    return max(at, deaths[before - 1]), HEALED_WITHIN


def causes(parked: Mapping[str, Sequence[Parked]]) -> list[str]:
    """What was told as causes, to look at."""
    return sorted({json.dumps(one.cause)[1:-1] for found in parked.values() for one in found})
