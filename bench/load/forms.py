"""A web site whose visitors fill in forms: requests made beforehand, over a few kept connections.

Told: url of the gateway, lines, first, count, connections, and rate (forms per second; without it as fast
as it goes). A refusal for now (429, 503) is counted and tried again after the time that it names.
"""

import asyncio
import json
import time
import uuid

import uvloop

from bench.load.http import Connection
from bench.load.talk import heard, processor_seconds, say, told

TEXT = "Здравствуйте, у нас не работает касса номер семь. " * 12


def request(line: str, name: str) -> bytes:
    """A filled form of about 1 KB of text."""
    body = json.dumps(
        {
            "client_key": uuid.uuid4().hex,
            "name": "Клиент",
            "address": f"{name}@client.example",
            "subject": f"bench {name}",
            "text": TEXT,
        },
        ensure_ascii=False,
    ).encode()
    head = (
        f"POST /v1/lines/{line}/messages HTTP/1.1\r\nHost: desk.example\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def run() -> None:
    what = told()
    first, count, rate = what["first"], what["count"], what.get("rate")
    names = [f"f{number}" for number in range(first, first + count)]
    lines = what["lines"]
    requests = [request(lines[n % len(lines)], name) for n, name in enumerate(names)]
    doors = [await Connection.to(what["url"]) for _ in range(what["connections"])]
    say(ready=count, bytes=len(requests[0]))
    if not await asyncio.to_thread(heard):
        return
    used, sent, later = processor_seconds(), [0.0] * count, 0
    started = time.time()
    todo = iter(range(count))

    async def work(door: Connection) -> None:
        nonlocal later
        for number in todo:
            if rate is not None:
                await asyncio.sleep(max(0.0, started + number / rate - time.time()))
            sent[number] = time.time()
            while (answer := await door.ask(requests[number])).status in {429, 503}:
                later += 1
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
            answer.require(202)

    await asyncio.gather(*(work(door) for door in doors))
    ended = time.time()
    names_sent = dict(zip((f"bench {name}" for name in names), sent, strict=True)) if rate else {}
    say(started=started, ended=ended, processor=processor_seconds() - used, sent=names_sent, later=later)
    await asyncio.to_thread(heard)
    for door in doors:
        door.close()


if __name__ == "__main__":
    uvloop.run(run())
