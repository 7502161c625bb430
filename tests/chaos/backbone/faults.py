"""Faults that need more than a signal: records delivered twice, a broker that forgot."""

import asyncio
import shutil
import subprocess
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deskline_local.stack import Stack


async def repeat_records(bootstrap: str, topics: list[str]) -> int:
    """Append a copy of every record to its own partition; how many."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
    await consumer.start()
    await producer.start()
    sent = []
    try:
        for topic in topics:
            parts = [TopicPartition(topic, number) for number in await producer.partitions_for(topic)]
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            ends = await consumer.end_offsets(parts)
            while any([await consumer.position(part) < ends[part] for part in parts]):
                for part, records in (await consumer.getmany(timeout_ms=200)).items():
                    for one in records:
                        if one.offset < ends[part]:
                            headers = list(one.headers)
                            sent.append(
                                await producer.send(
                                    topic, one.value, one.key, part.partition, headers=headers
                                )
                            )
        await asyncio.gather(*sent)
    finally:
        await consumer.stop()
        await producer.stop()
    return len(sent)


class Remembered:
    """The broker's data as they are now, to be put back later: what was acknowledged since is then lost."""

    def __init__(self, stack: Stack) -> None:
        self._data = Path(stack.folder) / "kafka" / "data"
        self._copy = self._data.with_name("remembered")
        self._stack = stack
        stack.kafka.pause()
        try:
            shutil.rmtree(self._copy, ignore_errors=True)
            self._clone(self._data, self._copy)
        finally:
            stack.kafka.resume()

    @staticmethod
    def _clone(source: Path, target: Path) -> None:
        # Index files are sparse: 10 MB each where a few bytes are used.
        subprocess.run(["cp", "-a", "--sparse=always", str(source), str(target)], check=True)

    def put_back(self) -> None:
        """The broker is killed, forgets, and starts again."""
        self._stack.kafka.kill()
        shutil.rmtree(self._data)
        self._clone(self._copy, self._data)
        self._stack.kafka.start()
