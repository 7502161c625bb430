"""Records that come twice, in another order between streams, or from a future version."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from tests import witness
from tests.judging.poison import FOLLOWS, Poison
from tests.witness import Record

UNKNOWN: Final = "UnreadableError: unknown type or newer version"
KNOWN: Final = {
    "intake": "MessageReceived",
    "tickets": "TicketOpened",
    "routing": "TicketQueued",
    "sla": "ClockStarted",
    "notify": "NotificationSent",
}
"""Of each owner a type that its readers know."""


@dataclass(frozen=True)
class Future:
    """What was planted: `parked` by every reader of the topic with its cause, `ignored` read as if usual.

    Neither is in the owner's store: `poison.without(records, future.all)`. Of the ignored, the readers know
    their `streams` at their first sequence.
    """

    parked: list[Poison]
    ignored: list[Poison]
    streams: set[str]

    @property
    def all(self) -> list[Poison]:
        return [*self.parked, *self.ignored]


@asynccontextmanager
async def _producing(bootstrap: str) -> Any:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def repeat_records(bootstrap: str, topics: Sequence[str], last: int | None = None) -> int:
    """Append a copy of every record to its own partition, or of the last ones of each; how many.

    A key that is erased meanwhile would come back with the keys topics: not while somebody is erased.
    """
    return await _append_again(bootstrap, topics, last, lambda records: records)


async def shuffle_streams(
    bootstrap: str, topics: Sequence[str], chance: Random, last: int | None = None
) -> int:
    """The same in an order that keeps each stream's own and mixes streams; how many."""

    return await _append_again(bootstrap, topics, last, lambda found: mixed_streams(found, chance))


def mixed_streams(found: Sequence[Record], chance: Random) -> list[Record]:
    """The records of a partition in another order, each stream's own kept."""
    streams: dict[bytes, list[Record]] = defaultdict(list)
    for record in found:
        streams[record.key or b""].append(record)
    turns = [key for key, of_it in streams.items() for _ in of_it]
    chance.shuffle(turns)
    following = {key: iter(of_it) for key, of_it in streams.items()}
    return [next(following[key]) for key in turns]


async def _append_again(bootstrap: str, topics: Sequence[str], last: int | None, ordered: Any) -> int:
    appended = 0
    async with _producing(bootstrap) as producer:
        for topic in topics:
            for records in _by_partition(await witness.read_topic(bootstrap, topic, last)):
                copies = ordered(records if last is None else records[-last:])
                sent = [
                    await producer.send(topic, one.value, one.key, one.partition, headers=list(one.headers))
                    for one in copies
                ]
                await asyncio.gather(*sent)
                appended += len(sent)
    return appended


def _by_partition(records: Iterable[Record]) -> list[list[Record]]:
    found: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        found[record.partition].append(record)
    return list(found.values())


async def plant_future(bootstrap: str, topic: str) -> Future:
    """Events of an unknown type and of a newer major version, and such as an older reader may pass over.

    Each begins a stream of its own. Of what is passed over, one is of a type marked ignorable; one more, on
    intake's topic, is of a type that changes no read model and has fields that nobody knows.
    """
    owner = topic.rpartition("deskline.")[2].split(".")[0]
    parked: list[Poison] = []
    ignored: list[Poison] = []
    streams: set[str] = set()
    async with _producing(bootstrap) as producer:
        for kind in (f"deskline.{owner}.FromTheFuture.v1", f"deskline.{owner}.{KNOWN[owner]}.v99"):
            stream = str(uuid4())
            for sequence, cause in ((1, UNKNOWN), (2, FOLLOWS)):
                headers = _headers(owner, kind, stream, sequence)
                parked.append(await _put(producer, topic, headers, {"tomorrow": sequence}, cause))
        for kind, data in _harmless(owner).items():
            stream = str(uuid4())
            streams.add(stream)
            headers = _headers(owner, kind, stream, 1) | {"deskline-ignorable": "1"}
            ignored.append(await _put(producer, topic, headers, data, ""))
    return Future(parked, ignored, streams)


def _harmless(owner: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {f"deskline.{owner}.RoutineOfTomorrow.v1": {"tomorrow": True}}
    if owner == "intake":
        later = {"tomorrow": {"field": [1, 2]}, "also": None}
        found["deskline.intake.CompanyRegistered.v1"] = {"company_id": str(uuid4()), "locale": "ru", **later}
    return found


async def _put(
    producer: AIOKafkaProducer, topic: str, headers: dict[str, str], data: dict[str, Any], cause: str
) -> Poison:
    value = json.dumps(data).encode()
    kept = await producer.send_and_wait(
        topic,
        value,
        key=headers["ce_subject"].encode(),
        headers=[(name, text.encode()) for name, text in headers.items()],
    )
    at = datetime.fromtimestamp(kept.timestamp / 1000, UTC)
    return Poison(
        topic, kept.partition, kept.offset, at, value, cause, headers["ce_id"], headers["ce_subject"]
    )


def _headers(owner: str, kind: str, stream: str, sequence: int) -> dict[str, str]:
    """An envelope as the owner would write it, of its first epoch, so that no reader begins anew for it."""
    return {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": f"/deskline/{owner}",
        "ce_type": kind,
        "ce_time": datetime.now(UTC).isoformat(),
        "ce_subject": stream,
        "ce_sequence": str(sequence),
        "ce_correlationid": str(uuid4()),
        "deskline-epoch": "1",
        "deskline-generation": "1",
        "content-type": "application/json",
    }
