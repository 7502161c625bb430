"""Announcing: stored events and keys become Kafka records, acknowledged, and later checked for."""

import asyncio
import base64
import contextlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic_core import to_json

from deskline_chassis import metrics
from deskline_chassis.broker import Broker
from deskline_chassis.consumer import Consumer
from deskline_chassis.marking import Mark
from deskline_chassis.relay_state import Acknowledged, RelayState, StoredEvent, StoredKey
from deskline_chassis.telemetry import start_child
from deskline_events.catalog import CATALOG
from deskline_events.envelope import EPOCH_HEADER, GENERATION_HEADER, Envelope, event_id, source_of
from deskline_events.keys import PersonKeys
from deskline_events.topics import Topic
from deskline_events.watermarks import Watermark

START_SECONDS: Final = 15.0
SEND_SECONDS: Final = 20.0
MARK_SECONDS: Final = 5.0
VERIFY_TIMEOUT_SECONDS: Final = 10.0


class LossError(Exception):
    """A record that the broker had acknowledged is not there any more."""

    safe_message = True

    def __init__(self, topic: str) -> None:
        super().__init__(f"acknowledged records of {topic} are gone")
        self.topic = topic


class Announcer:
    """One producer and one checking consumer; built anew after every error of the broker."""

    def __init__(self, owner: str, broker: Broker, publish: Any, topics: Sequence[Topic]) -> None:
        self._source = source_of(owner)
        self._publish = publish
        self._topics = {topic.kind: broker.topic(topic) for topic in topics}
        settings = broker.client_settings(f"{owner}-relay")
        self._marked: asyncio.Future[Any] | None = None
        self._producer = AIOKafkaProducer(
            # A batch that expired by itself would let later ones of its partition overtake it: our own
            # time limit comes first and ends the whole producer.
            **settings | {"request_timeout_ms": int(SEND_SECONDS * 2000)},
            enable_idempotence=True,
            acks="all",
            linger_ms=2,
            max_batch_size=256 * 1024,
        )
        self._checker = Consumer(
            **settings, enable_auto_commit=False, auto_offset_reset="none", max_partition_fetch_bytes=4096
        )

    async def start(self) -> None:
        """Connect; raises KafkaError, OSError, TimeoutError."""
        async with asyncio.timeout(START_SECONDS):
            await self._producer.start()
            await self._checker.start()

    async def stop(self) -> None:
        """Let go of the broker, which may be away."""
        for stop in (self._checker.stop, self._abort):
            # What was not acknowledged is sent again from the position.
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(stop(), 3.0)

    async def _abort(self) -> None:
        # aiokafka's stop sends what it still holds: records that come after the one that failed.
        sending = self._producer._sender.sender_task  # noqa: SLF001 -- there is no public way to abort
        if sending is not None:
            sending.cancel()
        await self._producer.client.close()
        await self._producer.stop()

    async def send(
        self, events: Sequence[StoredEvent], keys: Sequence[StoredKey], state: RelayState
    ) -> Acknowledged:
        """Send in order and wait for every acknowledgement.

        Raises KafkaError and TimeoutError, and LossError where an offset comes back that is not above
        one acknowledged before.
        """
        async with asyncio.timeout(SEND_SECONDS):
            sent = [(str(key.subject), await self._send_key(key, state)) for key in keys]
            sent += [await self._send_event(event, state) for event in events]
            answers = await asyncio.gather(*(future for _, future in sent))
        last: Acknowledged = {}
        for (identity, _), answer in zip(sent, answers, strict=True):
            if answer.offset < 0:
                raise KafkaError("the broker took a record for a repeat and did not say where it is")
            place = f"{answer.topic}/{answer.partition}"
            known = last.get(place) or state.acknowledged.get(place)
            if known is not None and answer.offset <= known[0]:
                raise LossError(answer.topic)
            last[place] = (answer.offset, identity)
        if events:
            now = datetime.now(UTC)
            metrics.RELAY_EVENTS.labels(self._topics["events"]).inc(len(events))
            for event in events:
                metrics.RELAY_SECONDS.observe(max(0.0, (now - event.time).total_seconds()))
        return last

    async def _send_event(self, event: StoredEvent, state: RelayState) -> tuple[str, asyncio.Future[Any]]:
        wire_type, value = self._publish(event.type, event.data.encode())
        identity = event_id(self._source, event.stream, event.sequence, event.generation)
        envelope = Envelope(
            id=identity,
            source=self._source,
            type=wire_type,
            time=event.time,
            subject=event.stream,
            sequence=event.sequence,
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            epoch=state.epoch,
            generation=state.generation,
            ignorable=wire_type in CATALOG and CATALOG[wire_type].ignorable,
            traceparent=event.traceparent,
        )
        span = start_child("relay publish", event.traceparent, type=wire_type, stream=str(event.stream))
        future = await self._producer.send(
            self._topics["events"], value, key=str(event.stream).encode(), headers=envelope.headers()
        )
        if span is not None:
            future.add_done_callback(lambda _: span.end())
        return str(identity), future

    async def _send_key(self, key: StoredKey, state: RelayState) -> asyncio.Future[Any]:
        wrapped = {} if key.wrapped is None else {key.version or 1: base64.b64encode(key.wrapped).decode()}
        record = PersonKeys(subject=key.subject, keys=wrapped, erased_at=key.erased_at)
        future: asyncio.Future[Any] = await self._producer.send(
            self._topics["keys"],
            to_json(record.model_dump(mode="json", exclude_none=True)),
            key=str(key.subject).encode(),
            headers=[
                (EPOCH_HEADER, str(state.epoch).encode()),
                (GENERATION_HEADER, str(state.generation).encode()),
            ],
        )
        return future

    async def announce(self, mark: Mark, state: RelayState) -> None:
        """Send that all until the mark is there, which the caller knows; raises KafkaError, TimeoutError.

        Not waited for: the next one is sent soon, and tells what became of this one.
        """
        if self._marked is not None and self._marked.done():
            self._marked.result()
        topic = self._topics["events"]
        offsets = dict.fromkeys(await self._producer.partitions_for(topic), 0)
        for place, (offset, _) in state.acknowledged.items():
            partition = _place(place)
            if partition.topic == topic:
                offsets[partition.partition] = offset + 1
        watermark = Watermark(time=mark.time, epoch=state.epoch, generation=state.generation, offsets=offsets)
        async with asyncio.timeout(MARK_SECONDS):
            self._marked = await self._producer.send(
                self._topics["watermarks"], watermark.model_dump_json().encode(), partition=0
            )
        # What it ended with may come after our own end, when nobody asks any more.
        self._marked.add_done_callback(lambda sent: sent.cancelled() or sent.exception())

    async def verify(self, acknowledged: Acknowledged) -> None:
        """Check that each partition's last acknowledged record is still the one that we wrote.

        Raises LossError; KafkaError and TimeoutError where the broker does not say.
        """
        expected = {_place(place): record for place, record in acknowledged.items()}
        if not expected:
            return
        ends = await self._checker.end_offsets(list(expected))
        for partition, (offset, _) in expected.items():
            if ends[partition] <= offset:
                raise LossError(partition.topic)
        self._checker.assign(list(expected))
        for partition, (offset, _) in expected.items():
            self._checker.seek(partition, offset)
        pending = dict(expected)
        deadline = time.monotonic() + VERIFY_TIMEOUT_SECONDS
        while pending:
            if time.monotonic() > deadline:
                raise TimeoutError("the broker did not give the last acknowledged records")
            fetched = await self._checker.getmany(*pending, timeout_ms=500)
            for partition, records in fetched.items():
                offset, identity = pending.pop(partition)
                if not self._is_ours(partition.topic, records[0], offset, identity):
                    raise LossError(partition.topic)
        self._checker.assign([])

    def _is_ours(self, topic: str, record: Any, offset: int, identity: str) -> bool:
        if topic == self._topics.get("keys"):
            # A repeat by an earlier leader may have let compaction remove the one that we saw.
            return bool(record.offset > offset or record.key == identity.encode())
        return bool(record.offset == offset and dict(record.headers).get("ce_id") == identity.encode())


def _place(place: str) -> TopicPartition:
    topic, _, partition = place.rpartition("/")
    return TopicPartition(topic, int(partition))
