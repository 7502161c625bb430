"""A company's own system that follows the tickets' topic: it says when it saw which ticket offered.

Told: bootstrap. To the word `forget` it forgets; to any other it says ticket → moment.
"""

import asyncio
import sys
import time

import uvloop
from aiokafka import AIOKafkaConsumer

from bench.load.talk import processor_seconds, say, told

OFFERED = b"deskline.tickets.TicketOffered.v1"
TOPIC = "deskline.tickets.events"


async def follow(consumer: AIOKafkaConsumer, seen: dict[str, float]) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            now = time.time()
            for record in records:
                headers = dict(record.headers)
                if headers["ce_type"] == OFFERED:
                    seen.setdefault(headers["ce_subject"].decode(), now)


async def run() -> None:
    seen: dict[str, float] = {}
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=told()["bootstrap"], fetch_max_wait_ms=25)
    await consumer.start()
    await consumer.seek_to_end()
    following = asyncio.create_task(follow(consumer, seen))
    say(ready=True)
    asked = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(asked), sys.stdin.buffer
    )
    while word := (await asked.readline()).strip():
        if word == b"forget":
            seen.clear()
        say(seen=seen, processor=processor_seconds())
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await consumer.stop()


if __name__ == "__main__":
    uvloop.run(run())
