"""Mail servers of customers: 7 KB mails of three parts, made beforehand, over a few connections.

Told: port, recipient, first, count, connections, and rate (mails per second; without it as fast as it goes).
"""

import asyncio
import base64
import os
import time
from email.message import EmailMessage
from email.policy import SMTP

import uvloop

from bench.load.talk import heard, processor_seconds, say, told

ATTACHED = 2200
MAILS_A_SESSION = 500
"""A mail server that has more says goodbye and calls again: the door ends sessions that go on for ever."""


class RefusedError(Exception):
    """The door didn't take a mail."""


def template(recipient: str) -> bytes:
    """A 7 KB Russian mail of three parts, with places for what differs."""
    content = EmailMessage(policy=SMTP)
    content["From"] = "Клиент <SENDER@client.example>"
    content["To"] = recipient
    content["Subject"] = "bench SENDER"
    content["Message-ID"] = "<MESSAGE@client.example>"
    text = "Здравствуйте, у нас не работает касса номер семь. " * 12
    content.set_content(text, cte="base64")
    content.add_alternative(f"<html><body><p>{text}</p></body></html>", subtype="html", cte="base64")
    content.add_attachment(b"\0" * ATTACHED, maintype="image", subtype="png", filename="снимок.png")
    return content.as_bytes(policy=SMTP)


def mail(pattern: tuple[bytes, bytes], name: str) -> bytes:
    """The mail of one person, with a picture of their own."""
    encoded = base64.encodebytes(os.urandom(ATTACHED)).replace(b"\n", b"\r\n")
    before, after = pattern
    whole = before.replace(b"SENDER", name.encode()).replace(b"MESSAGE", os.urandom(12).hex().encode())
    return whole + encoded + after


def pattern(recipient: str) -> tuple[bytes, bytes]:
    """What is before the picture, and what is behind it."""
    blank = base64.encodebytes(b"\0" * ATTACHED).replace(b"\n", b"\r\n")
    before, found, after = template(recipient).partition(blank)
    assert found, "the picture is not where it was put"
    return before, after


class MailServer:
    """A customer's mail server: one SMTP session at a time, with one command at a time."""

    def __init__(self, port: int, recipient: str) -> None:
        self._port = port
        self._recipient = recipient.encode()
        self._left = 0

    async def greet(self) -> None:
        """Begin a session."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        self._left = MAILS_A_SESSION
        await self._expect(b"220")
        await self._say(b"EHLO client.example\r\n", b"250")

    async def deliver(self, sender: bytes, content: bytes) -> None:
        """Hand one mail over; content holds no line that begins with a dot."""
        if not self._left:
            await self.leave()
            await self.greet()
        self._left -= 1
        await self._say(b"MAIL FROM:<" + sender + b">\r\n", b"250")
        await self._say(b"RCPT TO:<" + self._recipient + b">\r\n", b"250")
        await self._say(b"DATA\r\n", b"354")
        await self._say(content + b"\r\n.\r\n", b"250")

    async def leave(self) -> None:
        """End the session."""
        await self._say(b"QUIT\r\n", b"221")
        self._writer.close()

    async def _say(self, line: bytes, code: bytes) -> None:
        self._writer.write(line)
        await self._expect(code)

    async def _expect(self, code: bytes) -> None:
        while True:
            line = await self._reader.readline()
            if not line.startswith(code):
                raise RefusedError(line.decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return


async def run() -> None:
    what = told()
    first, count, connections, rate = what["first"], what["count"], what["connections"], what.get("rate")
    made = pattern(what["recipient"])
    names = [f"p{number}" for number in range(first, first + count)]
    mails = [(f"{name}@client.example".encode(), mail(made, name)) for name in names]
    servers = [MailServer(what["port"], what["recipient"]) for _ in range(connections)]
    for server in servers:
        await server.greet()
    say(ready=len(mails), bytes=len(mails[0][1]))
    if not await asyncio.to_thread(heard):
        return
    used, sent = processor_seconds(), [0.0] * count
    started = time.time()
    todo = iter(range(count))

    async def work(server: MailServer) -> None:
        for number in todo:
            if rate is not None:
                await asyncio.sleep(max(0.0, started + number / rate - time.time()))
            sent[number] = time.time()
            await server.deliver(*mails[number])

    await asyncio.gather(*(work(server) for server in servers))
    ended = time.time()
    for server in servers:
        await server.leave()
    names_sent = dict(zip((f"bench {name}" for name in names), sent, strict=True)) if rate else {}
    say(started=started, ended=ended, processor=processor_seconds() - used, sent=names_sent)
    await asyncio.to_thread(heard)


if __name__ == "__main__":
    uvloop.run(run())
