"""More than can be taken: requests that come at a fixed rate, whoever was answered, and how each one ended.

Everything is made beforehand, and one event loop speaks the protocols itself: the load must cost little
beside what it loads.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

End = Literal["taken", "shed", "unknown", "wrong"]

# What clients wait: browsers and our own, and mail servers, which RFC 5321 (4.5.3.2) asks for five minutes.
PATIENCE_SECONDS = {"mail": 60.0, "form": 15.0, "note": 15.0}
AWAY_SECONDS = 0.2
IDLE_SECONDS = 2.0
MOST_REQUESTS = 400
SMTP_SHED = {421, 451, 452}
HTTP_SHED = {429, 503}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended: what was answered, and after how many seconds."""

    what: str
    name: str
    end: End
    told: str
    seconds: float


class Door(Protocol):
    """Something that takes one request at a time on each of its connections."""

    what: str

    def name(self, number: int) -> str:
        """What request `number` can be found by."""

    async def give(self, number: int) -> tuple[End, str]:
        """End and answer of request `number`."""

    async def close(self) -> None:
        """End all connections."""


@dataclass(slots=True)
class _Line:
    """A connection, how many requests it carried, and since when it waits for the next."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: int = 0
    since: float = 0.0

    async def say(self, line: bytes) -> int:
        """The code that SMTP answers to a line."""
        self.writer.write(line)
        return await self.hear()

    async def hear(self) -> int:
        """The code of SMTP's next answer."""
        while True:
            line = await self.reader.readuntil(b"\n")
            if line[3:4] != b"-":
                return int(line[:3])


@dataclass
class _Idle:
    """Connections that wait for their next request; the newest is taken first, before its server ends it."""

    lines: list[_Line] = field(default_factory=list)

    def take(self) -> _Line | None:
        while self.lines:
            line = self.lines.pop()
            if time.monotonic() - line.since < IDLE_SECONDS and not line.reader.at_eof():
                return line
            line.writer.close()
        return None

    def keep(self, line: _Line) -> None:
        line.used += 1
        line.since = time.monotonic()
        if line.used < MOST_REQUESTS:
            self.lines.append(line)
        else:
            line.writer.close()

    async def close(self) -> None:
        for line in self.lines:
            line.writer.close()
        self.lines.clear()


async def _connect(address: tuple[str, int]) -> _Line:
    return _Line(*await asyncio.open_connection(*address))


@dataclass
class MailDoor:
    """SMTP; `mail` gives envelope sender, Message-ID and content of a number."""

    address: tuple[str, int]
    recipient: str
    mail: Callable[[int], tuple[str, str, bytes]]
    what: str = "mail"
    idle: _Idle = field(default_factory=_Idle)

    def name(self, number: int) -> str:
        return self.mail(number)[1]

    async def give(self, number: int) -> tuple[End, str]:
        sender, _, content = self.mail(number)
        line, sent = self.idle.take(), False
        try:
            if line is None:
                line = await _connect(self.address)
                code = await line.hear()
                if code == 220:
                    code = await line.say(b"EHLO load.example\r\n")
                if code != 250:
                    line.writer.close()
                    return _refused(code)
            for said in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{self.recipient}>", "DATA"):
                code = await line.say(f"{said}\r\n".encode())
                if code not in {250, 354}:
                    break
            else:
                sent = True
                code = await line.say(content + b"\r\n.\r\n")
            if code == 421:
                line.writer.close()
                return _refused(code)
            if code == 250 or await line.say(b"RSET\r\n") == 250:
                self.idle.keep(line)
        except BaseException as error:
            if line is not None:
                line.writer.close()
            if not isinstance(error, OSError | EOFError):
                raise
            return "unknown" if sent else "wrong", type(error).__name__
        return ("taken", "250") if code == 250 else _refused(code)

    async def close(self) -> None:
        await self.idle.close()


def _refused(code: int) -> tuple[End, str]:
    return "shed" if code in SMTP_SHED else "wrong", str(code)


@dataclass
class HttpDoor:
    """HTTP; `request` gives the name of a number and its whole request in bytes."""

    address: tuple[str, int]
    request: Callable[[int], tuple[str, bytes]]
    what: str
    idle: _Idle = field(default_factory=_Idle)

    def name(self, number: int) -> str:
        return self.request(number)[0]

    async def give(self, number: int) -> tuple[End, str]:
        """A request that a kept connection did not carry is sent once more: it has a key of its own."""
        _, request = self.request(number)
        if (line := self.idle.take()) is not None:
            end, told = await self._ask(line, request)
            if end != "unknown":
                return end, told
        return await self._ask(None, request)

    async def _ask(self, line: _Line | None, request: bytes) -> tuple[End, str]:
        try:
            if line is None:
                line = await _connect(self.address)
            line.writer.write(request)
            status, headers = await _answer(line.reader)
        except BaseException as error:
            if line is not None:
                line.writer.close()
            if not isinstance(error, OSError | EOFError):
                raise
            return "unknown", type(error).__name__
        if headers.get(b"connection") == b"close":
            line.writer.close()
        else:
            self.idle.keep(line)
        if 200 <= status < 300:
            return "taken", str(status)
        patient = headers.get(b"retry-after", b"").isdigit()
        end: End = "shed" if status in HTTP_SHED and patient else "wrong"
        return end, str(status) if patient else f"{status} without Retry-After"

    async def close(self) -> None:
        await self.idle.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes]]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    await reader.readexactly(int(headers.get(b"content-length", b"0")))
    return int(first.split()[1]), headers


@dataclass
class Pressed:
    """How all requests of a flood ended; `late`: the most seconds by which one came after its moment."""

    ended: list[Ended] = field(default_factory=list)
    late: float = 0.0

    def names(self, what: str, end: End) -> set[str]:
        return {one.name for one in self.ended if one.what == what and one.end == end}

    @property
    def longest(self) -> float:
        """Seconds that the slowest answer took."""
        return max(one.seconds for one in self.ended)

    def table(self) -> str:
        """Ends by door and answer."""
        counts = Counter((one.what, one.end, one.told) for one in self.ended)
        return "\n".join(f"{what:8} {end:8} {told:14} {n}" for (what, end, told), n in sorted(counts.items()))


async def press(doors: Sequence[Door], rates: dict[str, float], seconds: float) -> Pressed:
    """Requests at a fixed rate for each door, whoever was answered; ends when the last one has ended."""
    pressed, under_way = Pressed(), set[asyncio.Task[Any]]()
    began = time.monotonic()

    async def arrive(door: Door) -> None:
        for number in range(int(rates[door.what] * seconds)):
            wait = began + number / rates[door.what] - time.monotonic()
            pressed.late = max(pressed.late, -wait)
            await asyncio.sleep(max(0.0, wait))
            task: asyncio.Task[Any] = asyncio.create_task(_one(door, number, pressed))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    await asyncio.gather(*(arrive(door) for door in doors))
    while under_way:
        await asyncio.wait(under_way)
    for door in doors:
        await door.close()
    return pressed


async def sustain(doors: Sequence[Door], clients: dict[str, int], seconds: float) -> Pressed:
    """Requests of clients that wait for each answer, and for a moment when they were sent away."""
    pressed, until = Pressed(), time.monotonic() + seconds

    async def ask(door: Door, numbers: Iterator[int]) -> None:
        while time.monotonic() < until:
            if await _one(door, next(numbers), pressed) != "taken":
                await asyncio.sleep(AWAY_SECONDS)

    asked = [
        ask(door, numbers)
        for door in doors
        for numbers in [itertools.count()]
        for _ in range(clients[door.what])
    ]
    await asyncio.gather(*asked)
    for door in doors:
        await door.close()
    return pressed


async def _one(door: Door, number: int, pressed: Pressed) -> End:
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS[door.what]):
            end, told = await door.give(number)
    except TimeoutError:
        end, told = "wrong", "no answer"
    took = time.monotonic() - began
    pressed.ended.append(Ended(door.what, door.name(number), end, told, took))
    return end
