"""Rebuilding any reader's tables from offset 0 beside the live ones; knows nothing of what they hold.

The rebuilt tables lie in a schema of their own, under a reader of its own, and follow the live reader until
it stands still for a moment: there both have applied the same records and can be compared.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, Self

from aiokafka import TopicPartition

from deskline_chassis.applying import Applier, Batch, Outcome
from deskline_chassis.broker import Broker
from deskline_chassis.consumer import Consumer
from deskline_chassis.decoding import Place, Record

BATCH: Final = 1000
TELL_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 30.0
SILENT: Final = "the broker gives no records: see that it is well, run this again"
# The last record alone might be a stranger's, which tells nothing of generations.
TAIL: Final = 20

Tell = Callable[[int, int], None]
"""Told how many records were read, and how many there are up to the targets."""


class RebuildRefusedError(Exception):
    """A rebuild can't be begun or ended as asked; the message says what to do."""

    safe_message: ClassVar[bool] = True


Targets = dict[Place, int]
"""How far the live reader has applied each partition: its next offset."""


class TopicReplay:
    """Reads partitions from their beginning up to targets into an applier; errors are aiokafka's.

    Use it in an `async with` statement; the targets may be reached one after the other.
    """

    def __init__(self, applier: Applier, broker: Broker, compacted: frozenset[str], tell: Tell) -> None:
        self._applier = applier
        self._compacted = compacted
        self._targets: Targets = {}
        self._tell = tell
        self._generations: dict[Place, int] = {}
        self._begun: set[Place] = set()
        self._read = 0
        self._told = float("-inf")
        self._broker = broker

    async def __aenter__(self) -> Self:
        self._consumer = Consumer(
            **self._broker.client_settings(self._applier.spec.name),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=100,
        )
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def reach(self, targets: Targets) -> None:
        """Replay up to there. Raises RebuildRefusedError, SurroundingsError, KafkaError."""
        new = {place for place, offset in targets.items() if offset > 0} - set(self._targets)
        self._targets = {place: offset for place, offset in targets.items() if offset > 0}
        if new:
            await self._begin(new)
        await self._replay(self._consumer)

    async def behind(self, targets: Targets) -> int:
        """How many records there are between what was replayed and the targets."""
        return sum([max(0, target - await self._position(place)) for place, target in targets.items()])

    async def is_ahead(self, targets: Targets) -> bool:
        """Whether the live reader went back, as it does to read the repeats of a higher epoch."""
        return any([await self._position(place) > target for place, target in targets.items()])

    async def _position(self, place: Place) -> int:
        tp = TopicPartition(*place)
        return int(await self._consumer.position(tp)) if tp in self._consumer.assignment() else 0

    async def _begin(self, new: set[Place]) -> None:
        consumer = self._consumer
        places = {TopicPartition(*place): place for place in new}
        starts = await consumer.beginning_offsets(list(places))
        ends = await consumer.end_offsets(list(places))
        for tp, place in places.items():
            if ends[tp] < self._targets[place]:
                raise RebuildRefusedError(
                    f"the broker holds {ends[tp]} records of {tp.topic} {tp.partition}, fewer than were"
                    f" applied ({self._targets[place]}): let the owners announce everything anew"
                    " and the reader catch up, then run this again"
                )
            if starts[tp] > 0 and tp.topic not in self._compacted:
                raise RebuildRefusedError(
                    f"{tp.topic} {tp.partition} begins at offset {starts[tp]}: what was before it is gone,"
                    " so nothing can be rebuilt from it"
                )
        known = {tp: await consumer.position(tp) for tp in consumer.assignment()}
        consumer.assign([*known, *places])
        for tp, offset in (known | starts).items():
            consumer.seek(tp, offset)
        await self._learn_generations(consumer, new)
        everything = [(tp.topic, tp.partition) for tp in (*known, *places)]
        applied = await asyncio.to_thread(self._applier.assigned, everything)
        for tp, place in places.items():
            # Another process of the same rebuild may have come this far.
            consumer.seek(tp, max(starts[tp], applied[place]))
            if applied[place] > 0:
                self._begun.add(place)

    async def _learn_generations(self, consumer: Consumer, new: set[Place]) -> None:
        """The generation that each partition ends with; what was announced before it was restored away."""
        pending = {TopicPartition(*place) for place in new if place[0] not in self._compacted}
        for tp in pending:
            consumer.seek(tp, max(0, self._targets[tp.topic, tp.partition] - TAIL))
        deadline = time.monotonic() + SILENT_SECONDS
        while pending:
            if time.monotonic() > deadline:
                raise RebuildRefusedError(SILENT)
            for tp, found in (await consumer.getmany(*pending, timeout_ms=500)).items():
                pending.discard(tp)
                tail = (_record(one).generation for one in found[:TAIL])
                self._generations[tp.topic, tp.partition] = max(tail)

    async def _replay(self, consumer: Consumer) -> None:
        self._progress(first=True)
        heard = time.monotonic()
        while pending := await self._pending(consumer):
            fetched = await consumer.getmany(*pending, timeout_ms=500, max_records=BATCH)
            batch = self._batch(fetched)
            if batch:
                outcome = await asyncio.to_thread(self._applier.apply, batch)
                self._follow(consumer, outcome)
                self._read += sum(len(records) for records in batch.values())
                self._progress()
            if fetched:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENT_SECONDS:
                raise RebuildRefusedError(SILENT)
        # What came before its key was read is applied now, as the live reader's sweep did.
        await asyncio.to_thread(self._applier.wake)
        self._progress(first=True)

    async def _pending(self, consumer: Consumer) -> list[TopicPartition]:
        pending = []
        for place, target in self._targets.items():
            tp = TopicPartition(*place)
            if await consumer.position(tp) < target:
                pending.append(tp)
        return pending

    def _batch(self, fetched: dict[TopicPartition, list[Any]]) -> Batch:
        batch: Batch = {}
        for tp, found in fetched.items():
            place = (tp.topic, tp.partition)
            records = [_record(one) for one in found if one.offset < self._targets[place]]
            if len(records) < len(found):
                # What lies behind the target is read when there is a later one.
                self._consumer.seek(tp, self._targets[place])
            if kept := self._of_last_restore(place, records):
                batch[place] = kept
        return batch

    def _of_last_restore(self, place: Place, records: list[Record]) -> list[Record]:
        """After a restore of the owner's database only what was announced since is true."""
        wanted = self._generations.get(place, 1)
        if wanted == 1 or place in self._begun:
            return records
        kept = [record for record in records if record.generation >= wanted]
        if not kept:
            return []
        self._begun.add(place)
        self._applier.reset(place, kept[0].offset)
        return [record for record in records if record.offset >= kept[0].offset]

    def _follow(self, consumer: Consumer, outcome: Outcome) -> None:
        if outcome.fenced:
            raise RebuildRefusedError("another process moved this rebuild's positions: run one at a time")
        for place, offset in outcome.seeks.items():
            self._begun.discard(place)
            consumer.seek(TopicPartition(*place), offset)

    def _progress(self, *, first: bool = False) -> None:
        now = time.monotonic()
        if first or self._read <= BATCH or now - self._told >= TELL_SECONDS:
            self._told = now
            self._tell(self._read, sum(self._targets.values()))


def _record(one: Any) -> Record:
    return Record(one.topic, one.partition, one.offset, one.key, one.value, tuple(one.headers))
