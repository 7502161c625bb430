"""The reader: one consumer over all topics of a reader; the database decides what has been applied.

The group's committed offsets are only a hint. On assignment the consumer seeks to the position's row.
"""

import asyncio
import contextlib
import time
from typing import Any, Final

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from faststream.security import BaseSecurity, SASLScram512

from deskline_chassis import metrics
from deskline_chassis.applying import Applier, Batch, Outcome, ReaderSpec, SurroundingsError
from deskline_chassis.broker import Broker, read_by_nobody, until_broker
from deskline_chassis.consumer import Consumer
from deskline_chassis.decoding import Place, Record
from deskline_chassis.fetching import PacedBroker, PacedConsumer
from deskline_chassis.loops import Beat, FatalLoopError
from deskline_chassis.parking import counts, newly_parked, positions_of, redrive_understood
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database, is_surroundings
from deskline_chassis.watch import Standing, Watch
from deskline_events.topics import events_topic, keys_topic

log = structlog.get_logger(__name__)

MAX_RECORDS: Final = 500
SWEEP_SECONDS: Final = 1.0
HINT_SECONDS: Final = 0.9
HINT_PATIENCE: Final = 2.0
HINT_REST: Final = 4.0
OVERVIEW_SECONDS: Final = 5.0
REREAD_SECONDS: Final = 10.0
FENCED_EXIT: Final = 3
ALARMING: Final = 20
"""Newly parked streams within a minute, above which it is no longer a bad record here and there."""


class Reader(ConsumerRebalanceListener):  # type: ignore[misc]
    """Consumes for one reader until stopped; errors of the surroundings are retried without limit."""

    def __init__(
        self, spec: ReaderSpec, database: Database, keys: KeyRing, broker: Broker, *, instance: str
    ) -> None:
        self.spec = spec
        self._broker = broker
        self._instance = instance
        self._database = database
        self._topics = tuple(events_topic(owner) for owner in spec.owners) + tuple(
            keys_topic(owner) for owner in spec.key_owners
        )
        self.applier = applier_for(spec, database, keys, broker)
        self._group = f"{broker.prefix}{spec.name}"
        self._busy = asyncio.Lock()
        self._fenced: dict[Place, int] = {}
        self._hints: dict[TopicPartition, int] = {}
        self._hinted = float("-inf")
        self._beat: Beat | None = None
        self._fatal: asyncio.Future[None] | None = None
        self._consumer: PacedConsumer | None = None
        self._watch = Watch()
        self._orphans: set[Place] = set()
        self._rebuilt = 0
        self._reread = float("-inf")
        self._alarmed = False
        self._told: set[Place] = set()

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Read until stopped. Raises FatalLoopError when another process has our partitions."""
        self._beat = beat
        await self._insist(redrive_understood, self.applier, self._database)
        while not stop.is_set():
            # The owners create their topics; a reader that starts first creates what it needs as well.
            await until_broker(self._broker, self._topics, self.spec.name, beat.red)
            try:
                await self._consume(beat, stop)
            except (KafkaError, OSError, TimeoutError) as error:
                beat.red(f"broker: {type(error).__name__}")
                log.warning("reader lost the broker", reader=self.spec.name, cause=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _consume(self, beat: Beat, stop: asyncio.Event) -> None:
        stream = self._subscribe()
        self._fatal = asyncio.get_running_loop().create_future()
        self._watch = Watch()
        self._orphans = set()
        joined = asyncio.Event()
        chores = asyncio.create_task(self._chores(beat, joined))
        try:
            async with asyncio.timeout(30):
                await stream.start()
            joined.set()
            stopping = asyncio.create_task(stop.wait())
            ends: set[asyncio.Future[Any]] = {stopping, chores, self._fatal}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for ended in (chores, self._fatal):
                if ended.done():
                    ended.result()
        finally:
            chores.cancel()
            await asyncio.gather(chores, return_exceptions=True)
            last, self._consumer = self._consumer, None
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                if last is not None:
                    await asyncio.wait_for(self._hint(last), 3.0)
                await asyncio.wait_for(stream.stop(), 5.0)

    def _subscribe(self) -> PacedBroker:
        settings = self._broker.client_settings(f"{self.spec.name}-{self._instance}")
        kept = {k: v for k, v in settings.items() if k in {"client_id", "request_timeout_ms"}}
        stream = PacedBroker(
            settings["bootstrap_servers"],
            metadata_max_age_ms=settings["metadata_max_age_ms"],
            retry_backoff_ms=settings["retry_backoff_ms"],
            security=_security_of(self._broker),
            apply_types=False,
            logger=None,
            graceful_timeout=5.0,
            allow_auto_create_topics=False,
            consumer_only=True,
            ahead=frozenset(self._broker.topic(keys_topic(owner)) for owner in self.spec.key_owners),
            **kept,
        )
        member = f"{self.spec.name}-{self._instance}"
        subscriber = stream.subscriber(
            *(self._broker.topic(topic) for topic in self._topics),
            batch=True,
            group_id=self._group,
            group_instance_id=member if self._rebuilt == 0 else f"{member}-{self._rebuilt}",
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            max_records=MAX_RECORDS,
            batch_timeout_ms=10,
            max_partition_fetch_bytes=1024 * 1024,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            listener=self,
            # A header that is not UTF-8 must reach the parking and not fail before it.
            parser=_raw,
            decoder=_undecoded,
        )
        subscriber(self._on_batch)
        self._subscriber = subscriber
        return stream

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing to do: whatever is under way is fenced by the database."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Seek to the rows; the database may be away, then the assignment waits for it."""
        consumer = self._subscriber.consumer
        if consumer is None or not assigned:
            return
        self._consumer = consumer
        places = [(tp.topic, tp.partition) for tp in assigned]
        async with self._busy:
            offsets = await self._insist(self.applier.assigned, places)
        self._fenced.clear()
        self._hints.clear()
        for place, offset in offsets.items():
            self._seek_to_last(consumer, place, offset)

    async def _insist(self, work: Any, *arguments: Any) -> Any:
        delay = 0.1
        while True:
            try:
                return await asyncio.to_thread(work, *arguments)
            except Exception as error:
                if not isinstance(error, SurroundingsError) and not is_surroundings(error):
                    raise
                if self._beat is not None:
                    self._beat.red(f"database: {type(error).__name__}")
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)

    async def _on_batch(self, records: tuple[Any, ...]) -> None:
        consumer = self._consumer or self._subscriber.consumer
        if consumer is None:
            return
        batch: Batch = {}
        for one in records:
            batch.setdefault((one.topic, one.partition), []).append(
                Record(one.topic, one.partition, one.offset, one.key, one.value, tuple(one.headers))
            )
        started = time.perf_counter()
        try:
            async with self._busy:
                outcome = await self._insist(self.applier.apply, batch)
        except Exception as error:  # noqa: BLE001
            # faststream would log it and go on; here it ends this consumer, and the run begins anew.
            if self._fatal is not None and not self._fatal.done():
                self._fatal.set_exception(error)
            return
        took = time.perf_counter() - started
        metrics.READER_BATCH_SECONDS.labels(self.spec.name).observe(took)
        consumer.applied(took, full=len(records) >= MAX_RECORDS)
        if self._beat is not None:
            self._beat.progress()
        await self._follow(consumer, outcome)

    async def _follow(self, consumer: Consumer, outcome: Outcome) -> None:
        for place in outcome.committed:
            self._fenced.pop(place, None)
        for place in outcome.fenced:
            self._fenced[place] = self._fenced.get(place, 0) + 1
            log.warning("position was moved by another process", reader=self.spec.name, partition=place[1])
            if self._fenced[place] > 1 and self._fatal is not None and not self._fatal.done():
                self._fatal.set_exception(FatalLoopError(FENCED_EXIT))
                return
        for place, offset in outcome.seeks.items():
            start = await self._start_of(consumer, place, offset)
            self._seek(consumer, place, start)
        self._hints |= {TopicPartition(*place): offset for place, offset in outcome.committed.items()}
        if time.monotonic() - self._hinted >= HINT_SECONDS:
            await self._hint(consumer)

    async def _hint(self, consumer: Consumer) -> None:
        """Commit offsets: they only tell others how far this reader is, so not after every batch."""
        mine = consumer.assignment()
        self._hints = {tp: offset for tp, offset in self._hints.items() if tp in mine}
        hints = dict(self._hints)
        if not hints:
            return
        try:
            async with asyncio.timeout(HINT_PATIENCE):
                await consumer.hint(hints)
        except (KafkaError, TimeoutError):
            # They are told again, or others would take this reader for one that is behind; but seldom,
            # for what is applied waits for each try.
            self._hinted = time.monotonic() + HINT_REST
            return
        self._hinted = time.monotonic()
        # What was applied meanwhile stays to be told.
        self._hints = {tp: offset for tp, offset in self._hints.items() if hints.get(tp) != offset}

    async def _start_of(self, consumer: Consumer, place: Place, offset: int) -> int:
        # Where an operator let old records go, the partition's start lies above the position.
        tp = TopicPartition(*place)
        try:
            start: int = (await consumer.beginning_offsets([tp]))[tp]
        except (KafkaError, OSError, TimeoutError):
            return offset
        if start <= offset:
            return offset
        await self._insist(self.applier.reset, place, start)
        return start

    def _seek(self, consumer: Consumer, place: Place, offset: int) -> None:
        # The partition may have been taken away meanwhile; its next owner seeks for itself.
        with contextlib.suppress(IllegalStateError):
            consumer.seek(TopicPartition(*place), offset)

    def _seek_to_last(self, consumer: Consumer, place: Place, offset: int) -> None:
        # The last record that was applied comes again: by its epoch one sees that a topic was lost and
        # announced anew to the same length, which nothing else tells before the next record.
        self._seek(consumer, place, max(0, offset - 1))

    async def _chores(self, beat: Beat, joined: asyncio.Event) -> None:
        looked = 0.0
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            beat.alive()
            async with self._busy:
                await self._insist(self.applier.wake)
            if self._consumer is not None and time.monotonic() - self._hinted >= HINT_SECONDS:
                await self._hint(self._consumer)
            # A consumer that is still joining answers no question yet.
            if joined.is_set() and time.monotonic() - looked >= OVERVIEW_SECONDS:
                looked = time.monotonic()
                await self._overview(beat)

    async def _overview(self, beat: Beat) -> None:
        waiting, parked = await self._insist(counts, self._database, self.spec.name)
        metrics.READER_WAITING.labels(self.spec.name).set(waiting)
        metrics.READER_PARKED.labels(self.spec.name).set(parked)
        self._alarm(await self._insist(newly_parked, self._database, self.spec.name))
        consumer = self._subscriber.consumer
        if consumer is None:
            return
        standings = await self._standings(consumer)
        mine = {
            place: at for place, at in standings.items() if TopicPartition(*place) in consumer.assignment()
        }
        self._tell_only(set(mine))
        for place, standing in mine.items():
            metrics.READER_LAG.labels(self.spec.name, place[0], str(place[1])).set(max(standing.lag, 0))
            if standing.lag < 0:
                # The broker lost the tail: scan from the start, dropping, until a higher epoch appears.
                log.warning("a partition ends below its position", reader=self.spec.name, topic=place[0])
                async with self._busy:
                    await self._insist(self.applier.reset, place, 0)
                self._seek(consumer, place, 0)
        if time.monotonic() - self._reread >= REREAD_SECONDS:
            self._reread = time.monotonic()
            async with self._busy:
                for place, standing in mine.items():
                    if standing.lag == 0:
                        self._seek_to_last(consumer, place, standing.position)
        # A member watches over what it was not given as well: after a loss of the broker's data a group may
        # be formed before all topics are there again, and then nobody is given the partitions of the others.
        others = standings.keys() - mine.keys()
        orphans = await read_by_nobody(self._broker, self._group, others) if others else set()
        for_long, self._orphans = orphans & self._orphans, orphans
        if for_long or self._watch.is_stalled(mine or standings):
            log.error("there is something to read, but nothing comes", reader=self.spec.name)
            # Another member's name, since a static member that comes back keeps what it had: nothing.
            self._rebuilt += 1
            raise TimeoutError("the consumer stalled")
        beat.progress()

    async def _standings(self, consumer: Consumer) -> dict[Place, Standing]:
        topics = {self._broker.topic(topic) for topic in self._topics}
        # Positions before ends: an end that is asked for first lies below a position that moved meanwhile.
        rows = await self._insist(positions_of, self._database, self.spec.name)
        places = {place for place in rows if place[0] in topics} | {
            (topic, number) for topic in topics for number in consumer.partitions_for_topic(topic) or ()
        }
        if not places:
            return {}
        ends = await consumer.end_offsets([TopicPartition(*place) for place in sorted(places)])
        return {
            (tp.topic, tp.partition): Standing(rows.get((tp.topic, tp.partition), 0), end)
            for tp, end in ends.items()
        }

    def _tell_only(self, mine: set[Place]) -> None:
        # Another member tells how the others stand; our last figure would stay for ever.
        for topic, partition in self._told - mine:
            metrics.READER_LAG.remove(self.spec.name, topic, str(partition))
        self._told = mine

    def _alarm(self, streams: int) -> None:
        alarming = streams > ALARMING
        metrics.READER_PARKING_ALARM.labels(self.spec.name).set(alarming)
        if alarming and not self._alarmed:
            log.error("many streams are being parked", reader=self.spec.name, streams=streams)
        self._alarmed = alarming


async def _raw(message: Any, _original: Any) -> KafkaMessage:
    return KafkaMessage(raw_message=message, body=b"", headers={}, consumer=FAKE_CONSUMER)


async def _undecoded(message: KafkaMessage, _original: Any) -> Any:
    return message.raw_message


def _security_of(broker: Broker) -> BaseSecurity | None:
    """Faststream's form of the broker's security settings."""
    context = broker.client_settings("security").get("ssl_context")
    if broker.security.startswith("SASL"):
        return SASLScram512(
            username=broker.username or "",
            password=broker.password or "",
            ssl_context=context,
            use_ssl=context is not None,
        )
    return None if context is None else BaseSecurity(ssl_context=context, use_ssl=True)


def applier_for(spec: ReaderSpec, database: Database, keys: KeyRing, broker: Broker) -> Applier:
    """The applier of a reader in this deployment."""
    return Applier(
        spec,
        database,
        keys,
        {broker.topic(events_topic(owner)): owner for owner in spec.owners},
        frozenset(broker.topic(keys_topic(owner)) for owner in spec.key_owners),
    )
