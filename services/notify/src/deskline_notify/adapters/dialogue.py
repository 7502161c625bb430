"""The dialogue of one mail: commands and replies on a connection that is open and signed in already.

aiosmtplib opens the connection; its commands take a lock, a timer and a regular expression each, which is
most of what handing over a small mail costs. See RFC 5321 §3.3, and RFC 2920 for commands sent together.
"""

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from typing import Final

from deskline_notify.ports import Outgoing

MOST_REPLY: Final = 32 * 1024
_PATH: Final = re.compile(r"[!-;=?-~]*")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_OK: Final = 250
_WILL_FORWARD: Final = 251
_GO_AHEAD: Final = 354
_WANTED: Final = ((_OK,), (_OK, _WILL_FORWARD), (_GO_AHEAD,))


class ReplyError(Exception):
    """The server refused a command by this reply code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"reply {code}")
        self.code = code


class LostError(Exception):
    """The connection ended, or speaks no SMTP."""


class Dialogue(asyncio.Protocol):
    """Takes an open transport over from whoever opened it; `pipelined` where the server offers that."""

    def __init__(self, transport: asyncio.Transport, *, pipelined: bool) -> None:
        self._transport = transport
        self._pipelined = pipelined
        self._received = b""
        self._codes: deque[int] = deque()
        self._expected = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether the next mail may go this way."""
        return not self._lost and not self._transport.is_closing()

    def close(self) -> None:
        """End it, whatever is under way."""
        self._end()
        self._transport.abort()

    async def begin(self, mail: Outgoing) -> None:
        """Name sender and recipient and ask for the text's turn; nothing is handed over yet.

        Raises ReplyError, LostError, ValueError where an address holds what no command may carry.
        """
        if not (_PATH.fullmatch(mail.sender) and _PATH.fullmatch(mail.recipient)):
            raise ValueError("an address holds what no command may carry")
        commands = [
            line.encode("ascii")
            for line in (f"MAIL FROM:<{mail.sender}>\r\n", f"RCPT TO:<{mail.recipient}>\r\n", "DATA\r\n")
        ]
        if self._pipelined:
            await self._begin_at_once(commands)
            return
        for command, good in zip(commands, _WANTED, strict=True):
            self._say(command, 1)
            if (code := await self._reply()) not in good:
                raise ReplyError(code)

    async def _begin_at_once(self, commands: Sequence[bytes]) -> None:
        self._say(b"".join(commands), len(commands))
        refused: int | None = None
        try:
            for good in _WANTED:
                code = await self._reply()
                if refused is None and code not in good:
                    refused = code
            if refused is not None and code == _GO_AHEAD:
                # RFC 2920 §3.1: a server may wait for a text that has nobody to go to; it gets none.
                self._say(b".\r\n", 1)
                await self._reply()
        except LostError:
            if refused is None:
                raise
        if refused is not None:
            raise ReplyError(refused)

    async def finish(self, content: bytes) -> None:
        """Hand the text over; raises ReplyError, LostError."""
        if not content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n"):
            content = _LINE_END.sub(b"\r\n", content)  # a bare line end would let a text end itself
        if content.startswith(b"."):
            content = b"." + content
        end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
        self._say(content.replace(b"\r\n.", b"\r\n..") + end, 1)
        if (code := await self._reply()) != _OK:
            raise ReplyError(code)

    async def command(self, line: bytes) -> int:
        """The reply to a command without arguments; raises LostError."""
        self._say(line + b"\r\n", 1)
        return await self._reply()

    def _say(self, data: bytes, replies: int) -> None:
        if not self.is_open:
            raise LostError("the connection ended")
        self._expected += replies
        self._transport.write(data)

    async def _reply(self) -> int:
        while not self._codes:
            if self._lost:
                raise LostError("the connection ended")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._codes.popleft()

    def data_received(self, data: bytes) -> None:
        """Replies, in pieces of any size."""
        received = self._received + data if self._received else data
        begin = 0
        while (end := received.find(b"\n", begin)) >= 0:
            line = received[begin:end]
            begin = end + 1
            if not line[:3].isdigit() or self._expected == 0:
                # No SMTP, or said unasked: a server that says good-bye. What is under way is not answered.
                self._end()
                return
            if line[3:4] != b"-":
                self._expected -= 1
                self._codes.append(int(line[:3]))
        self._received = received[begin:]
        if len(self._received) > MOST_REPLY:
            self._end()
        self._wake()

    def eof_received(self) -> bool:
        """The server will say nothing more."""
        self._end()
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        """Nobody is there any more."""
        self._end()

    def _end(self) -> None:
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
