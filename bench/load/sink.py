"""The customers' mail servers: take every mail, keep none, and count them.

Told nothing; says its port, and to each word how many mails it has taken and when the last one came.
"""

import asyncio
import sys
import time
from typing import cast

import uvloop

from bench.load.talk import processor_seconds, say, told

ANSWERS = {
    b"EHLO": b"250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 ok\r\n",
    b"RCPT": b"250 ok\r\n",
    b"RSET": b"250 ok\r\n",
    b"NOOP": b"250 ok\r\n",
}
END = b"\r\n.\r\n"


class Taken:
    """What came so far."""

    def __init__(self) -> None:
        self.mails = 0
        self.last = 0.0


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._buffer = bytearray()
        self._in_mail = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not of its family
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        end = END if self._in_mail else b"\r\n"
        place = self._buffer.find(end)
        if place < 0:
            return False
        verb = bytes(self._buffer[:4]).upper()
        del self._buffer[: place + len(end)]
        if self._in_mail:
            self._in_mail = False
            self._taken.mails += 1
            self._taken.last = time.time()
            self._transport.write(b"250 taken\r\n")
        elif verb == b"DATA":
            self._in_mail = True
            self._transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
        else:
            self._transport.write(ANSWERS.get(verb, b"502 what\r\n"))
        return True


async def run() -> None:
    told()
    taken = Taken()
    server = await asyncio.get_running_loop().create_server(lambda: Session(taken), "127.0.0.1", 0)
    say(port=server.sockets[0].getsockname()[1])
    asked = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(asked), sys.stdin.buffer
    )
    while await asked.readline():
        say(mails=taken.mails, last=taken.last, processor=processor_seconds())
    server.close()


if __name__ == "__main__":
    uvloop.run(run())
