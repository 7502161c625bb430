"""The provider over SMTP: a connection that is kept between mails, checked before it is used again."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast

from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException

from deskline_notify.adapters.dialogue import Dialogue, LostError, ReplyError
from deskline_notify.domain.retrying import is_our_fault
from deskline_notify.ports import InterruptedSendingError, Outgoing, ProviderAwayError, RefusedError

IDLE_SECONDS: Final = 5.0
MOST_MAILS: Final = 200
_CLOSING: Final = 421
_QUIT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Provider:
    """Where mails are handed over, and how; `timeout` in seconds is for one mail in all."""

    host: str
    port: int
    tls: Literal["none", "starttls", "tls"]
    name: str
    timeout: float
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def client(self) -> SMTP:
        """A client that is not connected yet."""
        context = None
        if self.tls != "none":
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        return SMTP(
            hostname=self.host,
            port=self.port,
            local_hostname=self.name,
            username=self.username,
            password=self.password,
            timeout=self.timeout,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            tls_context=context,
        )


class SmtpConnection:
    """One connection, with one mail at a time."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._client: SMTP | None = None
        self._dialogue: Dialogue | None = None
        self._used_at = 0.0
        self._sent = 0

    async def send(self, mail: Outgoing) -> None:
        """Hand the mail over; raises RefusedError, InterruptedSendingError, ProviderAwayError."""
        try:
            async with asyncio.timeout(self._provider.timeout):
                await self._send(mail)
        except RefusedError as refused:
            await self._after_refusal(refused)
            raise
        except TimeoutError:
            connected = self._dialogue is not None
            self._drop()
            if connected:
                raise InterruptedSendingError("timed_out") from None
            raise ProviderAwayError("timed_out") from None
        except BaseException:
            self._drop()
            raise

    async def close(self) -> None:
        """Take leave, or just let go."""
        dialogue = self._dialogue
        if dialogue is not None and dialogue.is_open:
            with contextlib.suppress(LostError, TimeoutError):
                await asyncio.wait_for(dialogue.command(b"QUIT"), _QUIT_SECONDS)
        self._drop()

    async def _send(self, mail: Outgoing) -> None:
        dialogue, is_new = await self._ready()
        try:
            await self._begin(dialogue, mail)
        except LostError:
            # Nothing was handed over yet: a server that ended an idle connection costs no try.
            if is_new:
                raise InterruptedSendingError("connection_lost") from None
            self._drop()
            dialogue, _ = await self._ready()
            try:
                await self._begin(dialogue, mail)
            except LostError:
                raise InterruptedSendingError("connection_lost") from None
        try:
            await dialogue.finish(mail.content)
        except ReplyError as refused:
            raise _judged(refused.code) from None
        except LostError:
            raise InterruptedSendingError("connection_lost") from None
        self._used_at = asyncio.get_running_loop().time()
        self._sent += 1

    @staticmethod
    async def _begin(dialogue: Dialogue, mail: Outgoing) -> None:
        try:
            await dialogue.begin(mail)
        except ReplyError as refused:
            raise _judged(refused.code) from None

    async def _ready(self) -> tuple[Dialogue, bool]:
        dialogue = self._dialogue
        if dialogue is not None and dialogue.is_open and self._sent < MOST_MAILS:
            if asyncio.get_running_loop().time() - self._used_at < IDLE_SECONDS:
                return dialogue, False
            with contextlib.suppress(LostError):
                await dialogue.command(b"NOOP")
                return dialogue, False
        if dialogue is not None:
            await self.close()
        return await self._open(), True

    async def _open(self) -> Dialogue:
        client = self._provider.client()
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await _greet(client)
            dialogue = _taken_over(client)
        except SMTPResponseException as refused:
            client.close()
            raise ProviderAwayError(f"smtp_{refused.code}") from None
        except (SMTPException, OSError) as error:
            client.close()
            if isinstance(error, TimeoutError):
                raise ProviderAwayError("timed_out") from None
            raise ProviderAwayError(type(error).__name__) from None
        except BaseException:
            client.close()
            raise
        self._client, self._sent = client, 0
        self._dialogue = dialogue
        self._used_at = asyncio.get_running_loop().time()
        return dialogue

    async def _after_refusal(self, refused: RefusedError) -> None:
        dialogue = self._dialogue
        if dialogue is None:
            return
        try:
            if refused.code == _CLOSING:
                raise LostError("the server closes")
            await asyncio.wait_for(dialogue.command(b"RSET"), self._provider.timeout)
        except (LostError, TimeoutError):
            self._drop()

    def _drop(self) -> None:
        if self._dialogue is not None:
            self._dialogue.close()
        if self._client is not None:
            self._client.close()
        self._dialogue = self._client = None


async def _greet(client: SMTP) -> None:
    try:
        await client.ehlo()
    except SMTPHeloError:
        await client.helo()  # RFC 5321 §3.2: a server may be older than extensions


def _taken_over(client: SMTP) -> Dialogue:
    if client.transport is None:
        raise ConnectionResetError("the connection ended at once")
    # uvloop's transports are asyncio's in all but their class.
    transport = cast("asyncio.Transport", client.transport)
    return Dialogue(transport, pipelined=client.supports_extension("pipelining"))


def _judged(code: int) -> RefusedError | ProviderAwayError:
    return ProviderAwayError(f"smtp_{code}") if is_our_fault(code) else RefusedError(code)
