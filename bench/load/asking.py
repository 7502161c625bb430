"""People who look things up through the gateway, one request at a time.

Told: url, requests as [token, method, path, body or null]; says the milliseconds of each.
"""

import asyncio
import json
import time
from typing import Any

import uvloop

from bench.load.http import Connection
from bench.load.talk import heard, processor_seconds, say, told


def request(token: str, method: str, path: str, body: Any) -> bytes:
    """As it goes over the wire."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    kind = "" if body is None else "Content-Type: application/json\r\n"
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: desk.example\r\nAuthorization: Bearer {token}\r\n{kind}"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def run() -> None:
    what = told()
    requests = [request(*one) for one in what["requests"]]
    door = await Connection.to(what["url"])
    say(ready=len(requests))
    if not await asyncio.to_thread(heard):
        return
    used, taken = processor_seconds(), []
    for one in requests:
        began = time.perf_counter()
        (await door.ask(one)).require(200)
        taken.append(1000 * (time.perf_counter() - began))
    say(taken=taken, processor=processor_seconds() - used)
    await asyncio.to_thread(heard)
    door.close()


if __name__ == "__main__":
    uvloop.run(run())
