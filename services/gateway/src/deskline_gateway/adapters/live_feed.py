"""The events of all tickets as they are announced: read from the end, without a group, kept nowhere."""

import asyncio
import contextlib
import time
from typing import Any, Final
from uuid import UUID

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from deskline_chassis.broker import Broker, TopicsMissingError, ensure_topics
from deskline_chassis.consumer import Consumer
from deskline_chassis.loops import Beat
from deskline_chassis.watch import Standing, Watch
from deskline_events.tickets import TicketRouted
from deskline_events.topics import OWNERS, events_topic
from deskline_gateway.adapters.audience import BUFFER, Audience
from deskline_gateway.domain.live import Heard, Notice, heard_in
from deskline_gateway.figures import LIVE_RECORDS, LIVE_UP

log = structlog.get_logger(__name__)

# intake's streams are persons and never tickets, and its records carry whole messages.
_TOPICS: Final = tuple(events_topic(owner) for owner in OWNERS if owner != "intake")
_NAME: Final = "gateway-live"
_POLL_MILLIS: Final = 500
# Fewer than a reader's buffer holds: whoever reads fast enough takes them before the next come.
_POLL_RECORDS: Final = BUFFER // 4
_LOOK_SECONDS: Final = 5.0
# Some turns of the loop, in which readers' tasks take what they were told.
_TURN_SECONDS: Final = 0.005
# A question costs the broker and us as much for one record as for hundreds: what comes within the same
# moment is read together. Who comes when nobody was there ends the long rest at once.
_REST_SECONDS: Final = 0.05
_LONG_REST_SECONDS: Final = 1.0
_START_SECONDS: Final = 30.0
_BACKOFF_SECONDS: Final = (0.2, 5.0)
# What may wait in memory; records are read for their headers.
_FETCH_BYTES: Final = 512 * 1024


class StalledError(Exception):
    """There is something to read and nothing comes, or the broker lost what had been read."""

    safe_message = True


class LiveFeed:
    """Reads the topics for the audience; whenever it had to begin anew, the audience may have missed some.

    The loop is never red: without a broker everything but news works, and a balancer that took all
    gateways away would make it worse. `deskline_gateway_live_up` tells.
    """

    def __init__(self, broker: Broker, audience: Audience) -> None:
        self._broker = broker
        self._audience = audience
        self._began = False

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Follow until stopped; then all streams end, so that their readers go elsewhere at once."""
        following = asyncio.create_task(self._follow_for_ever())
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stopping.done() and not following.done():
                beat.progress()
                await asyncio.wait({following, stopping}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            if stop.is_set():
                self._audience.close()
            stopping.cancel()
            following.cancel()
            await asyncio.gather(following, stopping, return_exceptions=True)
            LIVE_UP.set(0)

    async def _follow_for_ever(self) -> None:
        delay = _BACKOFF_SECONDS[0]
        while True:
            began_at = time.monotonic()
            try:
                await ensure_topics(self._broker, _TOPICS, _NAME)
                await self._follow()
            except (KafkaError, OSError, TimeoutError, TopicsMissingError, StalledError) as error:
                LIVE_UP.set(0)
                log.warning("live views hear of nothing now", cause=type(error).__name__)
            if time.monotonic() - began_at > _START_SECONDS:
                delay = _BACKOFF_SECONDS[0]
            await asyncio.sleep(delay)
            delay = min(delay * 2, _BACKOFF_SECONDS[1])

    async def _follow(self) -> None:
        consumer = Consumer(
            **self._broker.client_settings(_NAME),
            group_id=None,
            enable_auto_commit=False,
            # A position that the broker no longer has is told to us, not mended behind our back.
            auto_offset_reset="none",
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_FETCH_BYTES,
            max_poll_records=_POLL_RECORDS,
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                await consumer.start()
                await self._begin_at_the_end(consumer)
            if self._began:
                self._audience.tell_missed()
            self._began = True
            LIVE_UP.set(1)
            await self._read(consumer)
        finally:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), 5.0)

    async def _begin_at_the_end(self, consumer: Consumer) -> None:
        places = await self._places()
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        for place, end in ends.items():
            consumer.seek(place, end)

    async def _places(self) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(**self._broker.client_settings(_NAME))
        try:
            await admin.start()
            found = await admin.describe_topics([self._broker.topic(topic) for topic in _TOPICS])
        finally:
            await admin.close()
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in found
            for partition in topic["partitions"]
        ]

    async def _read(self, consumer: Consumer) -> None:
        watch, looked_at = Watch(), time.monotonic()
        while True:
            batches: dict[Any, list[Any]] = await consumer.getmany(timeout_ms=_POLL_MILLIS)
            for records in batches.values():
                for record in records:
                    LIVE_RECORDS.labels(self._hear(record)).inc()
            if batches:
                await self._rest(consumer)
            if time.monotonic() - looked_at >= _LOOK_SECONDS:
                looked_at = time.monotonic()
                await _look(consumer, watch)

    async def _rest(self, consumer: Consumer) -> None:
        """Read nothing for a moment, unless more is there already."""
        places = consumer.assignment()
        for place in places:
            if await consumer.position(place) < (consumer.highwater(place) or 0):
                await asyncio.sleep(_TURN_SECONDS if self._audience.listens else 0)
                return
        consumer.pause(*places)
        if self._audience.listens:
            await asyncio.sleep(_REST_SECONDS)
        else:
            await self._audience.until_it_listens(_LONG_REST_SECONDS)
        consumer.resume(*places)

    def _hear(self, record: Any) -> str:
        """Take notice of a record and tell it whom it concerns; what became of it."""
        heard = heard_in(record.headers)
        try:
            queue = None if heard is None else _queue_in(heard, record.value)
        except ValidationError:
            heard = None
        if heard is None:
            # Its readers park it and tell of it; a live view has nothing to show.
            return "unreadable"
        progress = self._audience.progress
        if not progress.advances(heard):
            return "repeated"
        if self._audience.listens or queue is not None:
            # Another owner's event does not change the ticket: it comes with the version that was known last.
            ticket = heard.ticket
            notice = Notice(ticket, progress.version(heard), heard.name)
            self._audience.tell(ticket, notice, moved_to=queue)
        return "told"


def _queue_in(heard: Heard, value: bytes) -> UUID | None:
    """The queue that the ticket stands in from this event on; raises ValidationError."""
    if heard.type != TicketRouted.TYPE:
        return None
    return TicketRouted.model_validate_json(value).queue_id


async def _look(consumer: Consumer, watch: Watch) -> None:
    """Whether the broker is there and the reading keeps up; raises StalledError."""
    places = sorted(consumer.assignment())
    positions = {place: await consumer.position(place) for place in places}
    try:
        # Positions before ends: an end that is asked for first lies below a position that moved meanwhile.
        ends = await asyncio.wait_for(consumer.end_offsets(places), _LOOK_SECONDS)
    except (KafkaError, TimeoutError):
        # The client goes on where it was when the broker is back: nobody will have missed anything.
        LIVE_UP.set(0)
        return
    standings = {(place.topic, place.partition): Standing(positions[place], ends[place]) for place in places}
    if any(standing.lag < 0 for standing in standings.values()) or watch.is_stalled(standings):
        raise StalledError
    LIVE_UP.set(1)
