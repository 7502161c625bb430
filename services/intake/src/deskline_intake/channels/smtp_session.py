"""One SMTP connection: aiosmtpd's protocol with our limits, and a DATA that reads large chunks.

aiosmtpd's own DATA reads line by line into one object each, and refuses lines over 1,001 octets, which
real clients do send.
"""

import asyncio
from collections import defaultdict
from typing import Any, Final, Protocol, cast

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from deskline_intake import figures

log = structlog.get_logger(__name__)

READ_BYTES: Final = 32 * 1024
PIECE_BYTES: Final = 64 * 1024
DATA_SECONDS: Final = 600.0
MOST_MAILS: Final = 1_000
MOST_ERRORS: Final = 20
COMMAND_CHARS: Final = 1_024

_CALLS: Final = {
    "MAIL": MOST_MAILS,
    "DATA": MOST_MAILS,
    "RSET": MOST_MAILS,
    "RCPT": 10 * MOST_MAILS,
    "*": 30,
}
_END: Final = b".\r\n"
_LAST: Final = b"\r\n" + _END
_BUSY: Final = "452 4.3.1 Too much mail is being received, try again later"


class InFlight:
    """How many bytes of mails may be in memory, all connections together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    @property
    def full(self) -> bool:
        return self._used >= self._limit

    def take(self, size: int) -> bool:
        if self._used + size > self._limit:
            return False
        self._used += size
        figures.IN_FLIGHT.set(self._used)
        return True

    def give(self, size: int) -> None:
        self._used -= size
        figures.IN_FLIGHT.set(self._used)


class Content:
    """A mail as it is received, or why it was dropped; its memory is counted until closed.

    In pieces, since one growing buffer would be copied again and again and leave holes of its size.
    """

    def __init__(self, in_flight: InFlight, limit: int) -> None:
        self._in_flight = in_flight
        self._limit = limit
        self._taken = 0
        self._tail = b"\r\n"
        self._piece = bytearray()
        self.pieces: list[bytes] = []
        self.received = 0
        self.refusal: str | None = None

    def add(self, chunk: bytes) -> None:
        """One piece, cut anywhere."""
        before, self._tail = self._tail, (self._tail + chunk)[-len(_LAST) :]
        self.received += len(chunk)
        if self.refusal is not None:
            return
        if self.received > self._limit + len(_END):
            self._refuse("552 5.3.4 Message is too large")
        elif not self._in_flight.take(len(chunk)):
            self._refuse(_BUSY)
        else:
            self._taken += len(chunk)
            self._piece += _unstuffed(before[-2:], chunk)
            if self.ended:
                # The end's dot is gone already.
                del self._piece[-2:]
                self.pieces.append(bytes(self._piece))
            elif len(self._piece) >= PIECE_BYTES:
                self.pieces.append(bytes(self._piece[:-2]))
                del self._piece[:-2]

    @property
    def ended(self) -> bool:
        """Only CR LF dot CR LF ends a mail: anything laxer lets one mail smuggle in another."""
        return self._tail == _LAST

    def _refuse(self, answer: str) -> None:
        self.refusal = answer
        self._piece.clear()
        self.pieces.clear()
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        self._in_flight.give(self._taken)
        self._taken = 0


def _unstuffed(before: bytes, chunk: bytes) -> bytes:
    """A piece without the dots that the transfer put before lines (RFC 5321, 4.5.2)."""
    joined = before + chunk
    if b"\r\n." not in joined:
        return chunk
    return joined.replace(b"\r\n.", b"\r\n")[len(before) :]


class Door(Protocol):
    """What every connection shares."""

    in_flight: InFlight
    mail_bytes: int

    def enter(self, session: "MailSession") -> None:
        """A connection was let in."""

    def leave(self, session: "MailSession") -> None:
        """A connection ended."""

    async def take(self, envelope: Envelope, content: Content) -> str:
        """Store a mail, close its content when it is stored or not, and say what is answered."""


class TurnedAway(asyncio.Protocol):
    """A connection that is told why and ended; it costs next to nothing, since there may be many of them."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)
        stream.write(f"{self._answer}\r\n".encode())
        stream.close()


class MailSession(SMTP):
    """See aiosmtpd; nothing here or there is logged with a person's data."""

    line_length_limit = READ_BYTES

    def __init__(self, door: Door, **settings: Any) -> None:
        super().__init__(
            door,
            data_size_limit=door.mail_bytes,
            enable_SMTPUTF8=True,
            ident="Deskline",
            command_call_limit=_CALLS,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            **settings,
        )
        # The library shares one table of these between all connections, and each EHLO widens it.
        self.command_size_limits = defaultdict(lambda: COMMAND_CHARS)
        self._door = door
        self._errors = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._door.enter(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._door.leave(self)
        super().connection_lost(error)

    def end(self) -> None:
        """The service stops; a mail that is being stored still gets its answer."""
        if self.transport is not None and (self.envelope is None or not self.envelope.rcpt_tos):
            self._writer.write(b"421 4.3.2 Service is stopping, try again later\r\n")
            self.transport.close()

    async def push(self, status: Any) -> None:
        await super().push(status)
        text = status if isinstance(status, str) else status.decode("ascii", "replace")
        if text.startswith("5"):
            self._errors += 1
            if self._errors >= MOST_ERRORS and self.transport is not None:
                await super().push("421 4.7.0 Too many errors")
                self.transport.close()

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 -- the library's name
        """See RFC 5321, 4.1.1.4."""
        if await self.check_helo_needed():
            return
        assert self.envelope is not None  # noqa: S101 -- as the library has it
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        if self._door.in_flight.full:
            self._forget()
            await self.push(_BUSY)
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = Content(self._door.in_flight, self._door.mail_bytes)
        try:
            async with asyncio.timeout(DATA_SECONDS):
                whole = await self._receive(content)
        except BaseException:
            content.close()
            raise
        if not whole or content.refusal is not None:
            content.close()
            answer = content.refusal or "552 5.3.4 Message is too large"
        else:
            answer = await self._door.take(self.envelope, content)
        self._forget()
        await self.push(answer)
        if not whole and self.transport is not None:
            self.transport.close()

    async def _receive(self, content: Content) -> bool:
        """Read to the end of the mail; False where somebody sends on far beyond the limit."""
        while not content.ended:
            try:
                chunk = await self._reader.readuntil(_END)
            except asyncio.LimitOverrunError as overrun:
                chunk = await self._reader.readexactly(max(1, overrun.consumed))
            content.add(chunk)
            self._reset_timeout()
            if content.received > 2 * self._door.mail_bytes + READ_BYTES:
                return False
        return True

    async def smtp_VRFY(self, _arg: str | None) -> None:  # noqa: N802 -- the library's name
        """Whom we know is nobody's business."""
        await self.push("502 5.5.1 VRFY is not offered")

    async def smtp_EXPN(self, _arg: str | None) -> None:  # noqa: N802 -- the library's name
        """As VRFY."""
        await self.push("502 5.5.1 EXPN is not offered")

    async def smtp_HELP(self, _arg: str | None) -> None:  # noqa: N802 -- the library's name
        """See RFC 5321."""
        await self.push("214 2.0.0 See RFC 5321")

    async def smtp_AUTH(self, _arg: str | None) -> None:  # noqa: N802 -- the library's name
        """Nobody signs in here."""
        await self.push("502 5.5.1 AUTH is not offered")

    def _forget(self) -> None:
        self._set_post_data_state()  # type: ignore[no-untyped-call]  # the library's


__all__ = ["Content", "Door", "Envelope", "InFlight", "MailSession", "Session", "TurnedAway"]
