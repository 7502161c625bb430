"""The independent witness: reads topics and opens sealed fields with code of its own.

It imports nothing of `deskline_*`, so that a mistake there can't hide itself here.
"""

import base64
import json
from collections.abc import Iterable
from typing import Any

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

Record = Any
"""aiokafka's ConsumerRecord, which has no types."""


async def read_topic(bootstrap: str, topic: str, last: int | None = None) -> list[Record]:
    """Every record to the end of now, or the last of each partition, by partition and offset."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        assert partitions, f"there is no topic {topic}"
        ends = await consumer.end_offsets(partitions)
        consumer.unsubscribe()
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        if last is not None:
            for tp in partitions:
                consumer.seek(tp, max(await consumer.position(tp), ends[tp] - last))
        found: list[Record] = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(records)
        return sorted(found, key=lambda one: (one.partition, one.offset))
    finally:
        await consumer.stop()


def unwrapped(records: Iterable[Record], key_encryption_key: bytes) -> dict[str, bytes]:
    """Person → key, as a keys topic has it now; erased persons have none."""
    keys: dict[str, bytes] = {}
    for record in records:
        content = json.loads(record.value or b"null")
        subject = content["subject"]
        assert record.key == subject.encode()
        if "erased_at" in content:
            keys.pop(subject, None)
        else:
            keys[subject] = aes_key_unwrap(key_encryption_key, base64.b64decode(content["keys"]["1"]))
    return keys


def opened(sealed: dict[str, Any], event_id: str, path: str, keys: dict[str, bytes]) -> str:
    """The text of a sealed field."""
    box = base64.b64decode(sealed["c"])
    return AESGCM(keys[sealed["k"]]).decrypt(box[:12], box[12:], f"{event_id}/{path}".encode()).decode()


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What a database answers."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        return connection.execute(statement).fetchall()
