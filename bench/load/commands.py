"""Operators who note something on tickets through the gateway, each with one request at a time.

Told: url, tokens (one client each), tickets, count (commands of each client).
"""

import asyncio
import json
import time
import uuid

import uvloop

from bench.load.http import Connection
from bench.load.talk import heard, processor_seconds, say, told

TEXT = "Перезвонил, ждём подтверждения от склада."


def request(ticket: str, token: str) -> bytes:
    """A note under a key of its own."""
    body = json.dumps({"text": TEXT}, ensure_ascii=False).encode()
    head = (
        f"POST /v1/tickets/{ticket}/notes HTTP/1.1\r\nHost: desk.example\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {uuid.uuid4()}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def run() -> None:
    what = told()
    tickets, tokens, count = what["tickets"], what["tokens"], what["count"]
    plans = [
        [request(tickets[(place * count + n) % len(tickets)], token) for n in range(count)]
        for place, token in enumerate(tokens)
    ]
    doors = [await Connection.to(what["url"]) for _ in tokens]
    say(ready=len(plans))
    if not await asyncio.to_thread(heard):
        return
    used, taken = processor_seconds(), []

    async def work(door: Connection, plan: list[bytes]) -> None:
        for one in plan:
            began = time.perf_counter()
            (await door.ask(one)).require(201)
            taken.append(1000 * (time.perf_counter() - began))

    started = time.perf_counter()
    await asyncio.gather(*(work(door, plan) for door, plan in zip(doors, plans, strict=True)))
    seconds = time.perf_counter() - started
    say(rate=len(taken) / seconds, taken=taken, processor=processor_seconds() - used)
    await asyncio.to_thread(heard)
    for door in doors:
        door.close()


if __name__ == "__main__":
    uvloop.run(run())
