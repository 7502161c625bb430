"""A reader of the deployment as its broker sees it: a topic that grows, and a group that passes it slowly."""

import asyncio
import threading
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

STEP_SECONDS = 0.25
AHEAD = 3000
EACH_STEP = 50


class SlowReader:
    """Is ever so far behind, and passes as much as comes, until it is let catch up."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._place = TopicPartition(f"{prefix}deskline.tickets.events", 0)
        self._group = f"{prefix}deskline.analytics"
        self._caught_up, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def catch_up(self) -> None:
        self._caught_up.set()

    async def _run(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(self._place.topic, 1, 1)])
        await admin.close()
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=self._group)
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap)
        async with consumer, producer:
            consumer.assign([self._place])
            consumer.pause(self._place)
            written = 0
            while not self._ended.is_set():
                for _ in range(AHEAD if written == 0 else EACH_STEP):
                    await producer.send(self._place.topic, b"", partition=0)
                    written += 1
                await producer.flush()
                passed = written if self._caught_up.is_set() else written - AHEAD
                await consumer.commit({self._place: max(0, passed)})
                await asyncio.sleep(STEP_SECONDS)
