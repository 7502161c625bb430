"""Watermarks: until when what a reader applied of an owner's events is complete.

An owner's relay announces them; here they are followed, and held against the reader's stored positions.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from deskline_chassis import metrics
from deskline_chassis.broker import Broker, until_broker
from deskline_chassis.consumer import Consumer
from deskline_chassis.decoding import cause_of
from deskline_chassis.inbox import Position
from deskline_chassis.loops import Beat
from deskline_chassis.postgres import Conn
from deskline_events.topics import events_topic, watermarks_topic
from deskline_events.watermarks import Watermark

log = structlog.get_logger(__name__)

KEPT: Final = 512
STALLED_SECONDS: Final = 15.0
SILENT_SECONDS: Final = 2.0
START_SECONDS: Final = 15.0
FETCH_MS: Final = 250

History = tuple[Watermark, ...]
"""Of one epoch and generation, oldest first."""


def remember(history: History, watermark: Watermark) -> History:
    """The history with one more; an older epoch is never believed, the far past is thinned out."""
    if not history:
        return (watermark,)
    newest = history[-1]
    era, known = (watermark.generation, watermark.epoch), (newest.generation, newest.epoch)
    if era < known or (era == known and watermark.time <= newest.time):
        return history
    if era > known:
        return (watermark,)
    if watermark.offsets == newest.offsets:
        return (*history[:-1], watermark)
    if len(history) >= KEPT:
        history = (*history[: KEPT // 2 : 2], *history[KEPT // 2 :])
    return (*history, watermark)


def known_until(history: History, position: Position | None, partition: int) -> datetime | None:
    """The newest moment until which the partition was applied, by where its reader stands."""
    for watermark in reversed(history):
        needed = watermark.offsets.get(partition)
        if needed is None:
            continue
        # Nothing was ever announced there in this epoch: nothing needs to have been read.
        if needed == 0:
            return watermark.time
        if (
            position is not None
            and (position.epoch, position.generation) == (watermark.epoch, watermark.generation)
            and position.next_offset >= needed
        ):
            return watermark.time
    return None


def is_parked(connection: Conn, reader: str, owner: str, subject: UUID) -> bool:
    """Whether records of the stream were passed by without being applied: parked, or waiting for a key."""
    row = connection.execute(
        "SELECT parked OR waiting FROM reader_streams WHERE reader = %s AND owner = %s AND subject = %s",
        (reader, owner, subject),
    ).fetchone()
    return row == (True,)


class Watermarks:
    """Follows the watermarks of some owners, without a group; asked from any thread."""

    def __init__(
        self,
        broker: Broker,
        owners: Collection[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._topics = tuple(watermarks_topic(owner) for owner in owners)
        self._owners = {TopicPartition(broker.topic(topic), 0): topic.owner for topic in self._topics}
        self._histories: dict[str, History] = dict.fromkeys(owners, ())
        self._moved = dict.fromkeys(owners, clock())
        self._stalled: set[str] = set()

    def latest(self, owner: str) -> Watermark | None:
        """The newest watermark of an owner."""
        history = self._histories[owner]
        return history[-1] if history else None

    def complete_until(self, connection: Conn, reader: str, owner: str, partition: int) -> datetime | None:
        """The moment until which the reader applied all of the partition, inclusive; None: not known.

        Ask before looking at what the reader built: what it applies between the two is then only more.
        """
        history = self._histories[owner]
        row = connection.execute(
            "SELECT epoch, next_offset, generation FROM positions"
            " WHERE reader = %s AND topic = %s AND partition = %s",
            (reader, self._broker.topic(events_topic(owner)), partition),
        ).fetchone()
        return known_until(history, None if row is None else Position(*row), partition)

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """A loop: follow until stopped, through every outage of the broker."""
        for owner in self._moved:
            self._moved[owner] = self._clock()
            metrics.WATERMARK_AGE.labels(owner).set_function(partial(self.age_seconds, owner))
        alarms = asyncio.create_task(self._watch())
        try:
            while not stop.is_set():
                await until_broker(self._broker, self._topics, "watermarks", beat.red)
                try:
                    await self._follow(beat, stop)
                except (KafkaError, OSError, TimeoutError) as error:
                    beat.red(f"broker: {type(error).__name__}")
                    log.warning("watermarks lost the broker", cause=type(error).__name__)
                    await asyncio.sleep(0.5)
        finally:
            alarms.cancel()
            await asyncio.gather(alarms, return_exceptions=True)

    def age_seconds(self, owner: str) -> float:
        """How long ago the moment of the newest watermark lies; without one, since when it is missed."""
        latest = self.latest(owner)
        if latest is None:
            return self._clock() - self._moved[owner]
        return max(0.0, (datetime.now(UTC) - latest.time).total_seconds())

    async def _follow(self, beat: Beat, stop: asyncio.Event) -> None:
        consumer = Consumer(
            **self._broker.client_settings("watermarks"),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_MS,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
                await _seek_to_last(consumer, list(self._owners))
            standing = _Standing(self._clock, self._owners)
            while not stop.is_set():
                fetched = await consumer.getmany(timeout_ms=FETCH_MS)
                for place, records in fetched.items():
                    self._learn(self._owners[place], records)
                    standing.heard(place)
                if fetched or await standing.check(consumer):
                    beat.progress()
        finally:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), 3.0)

    def _learn(self, owner: str, records: Sequence[Any]) -> None:
        for record in records:
            try:
                watermark = Watermark.model_validate_json(record.value or b"")
            except ValidationError as error:
                log.warning("a watermark can't be read", owner=owner, cause=cause_of(error))
                continue
            before = self._histories[owner]
            self._histories[owner] = after = remember(before, watermark)
            if after is not before:
                self._moved[owner] = self._clock()

    async def _watch(self) -> None:
        while True:
            for owner, moved in self._moved.items():
                stalled = self._clock() - moved > STALLED_SECONDS
                metrics.WATERMARK_STALLED.labels(owner).set(stalled)
                if stalled and owner not in self._stalled:
                    self._stalled.add(owner)
                    log.error("a watermark does not move", owner=owner, age=round(self.age_seconds(owner)))
                elif not stalled and owner in self._stalled:
                    self._stalled.remove(owner)
                    log.info("a watermark moves again", owner=owner)
            await asyncio.sleep(1.0)


async def _seek_to_last(consumer: Consumer, places: Collection[TopicPartition]) -> None:
    consumer.assign(list(places))
    starts = await consumer.beginning_offsets(list(places))
    ends = await consumer.end_offsets(list(places))
    for place in places:
        consumer.seek(place, max(starts[place], ends[place] - 1))


class _Standing:
    """Notices that there is something to read which does not come, as after a topic was made anew."""

    def __init__(self, clock: Callable[[], float], places: Collection[TopicPartition]) -> None:
        self._clock = clock
        self._heard = dict.fromkeys(places, clock())
        self._behind: dict[TopicPartition, int] = {}

    def heard(self, place: TopicPartition) -> None:
        """Something came."""
        self._heard[place] = self._clock()
        self._behind.pop(place, None)

    async def check(self, consumer: Consumer) -> bool:
        """Ask the broker about silent partitions, whether it answered; raises TimeoutError, KafkaError."""
        now = self._clock()
        silent = [place for place, heard in self._heard.items() if now - heard > SILENT_SECONDS]
        if not silent:
            return False
        async with asyncio.timeout(START_SECONDS):
            ends = await consumer.end_offsets(silent)
            positions = {place: await consumer.position(place) for place in silent}
        for place, position in positions.items():
            # A record may have come between the two questions; the same position twice is no such thing.
            if ends[place] < position or (ends[place] > position == self._behind.get(place)):
                raise TimeoutError("there are watermarks, but they do not come")
            self._heard[place] = now
            if ends[place] > position:
                self._behind[place] = position
            else:
                self._behind.pop(place, None)
        return True
