"""The provider over SMTP: a connection that is kept between mails, checked before it is used again."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from aiosmtplib import SMTP, SMTPException, SMTPResponseException, SMTPServerDisconnected

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
            connected = self._client is not None
            self._drop()
            if connected:
                raise InterruptedSendingError("timed_out") from None
            raise ProviderAwayError("timed_out") from None
        except BaseException:
            self._drop()
            raise

    async def close(self) -> None:
        """Take leave, or just let go."""
        client = self._client
        if client is not None:
            with contextlib.suppress(SMTPException, OSError, TimeoutError):
                await asyncio.wait_for(client.quit(), _QUIT_SECONDS)
        self._drop()

    async def _send(self, mail: Outgoing) -> None:
        client, is_new = await self._ready()
        try:
            await self._begin(client, mail)
        except (SMTPServerDisconnected, OSError):
            # Nothing was handed over yet: a server that ended an idle connection costs no try.
            if is_new:
                raise InterruptedSendingError("connection_lost") from None
            self._drop()
            client, _ = await self._ready()
            try:
                await self._begin(client, mail)
            except (SMTPServerDisconnected, OSError):
                raise InterruptedSendingError("connection_lost") from None
        try:
            await client.data(mail.content)
        except SMTPResponseException as refused:
            raise _judged(refused.code) from None
        except (SMTPException, OSError):
            raise InterruptedSendingError("connection_lost") from None
        self._used_at = asyncio.get_running_loop().time()
        self._sent += 1

    @staticmethod
    async def _begin(client: SMTP, mail: Outgoing) -> None:
        try:
            await client.mail(mail.sender)
            await client.rcpt(mail.recipient)
        except SMTPResponseException as refused:
            raise _judged(refused.code) from None

    async def _ready(self) -> tuple[SMTP, bool]:
        client = self._client
        if client is not None and client.is_connected and self._sent < MOST_MAILS:
            if asyncio.get_running_loop().time() - self._used_at < IDLE_SECONDS:
                return client, False
            with contextlib.suppress(SMTPException, OSError):
                await client.noop()
                return client, False
        if client is not None:
            await self.close()
        client = self._provider.client()
        try:
            await client.connect()
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
        self._used_at = asyncio.get_running_loop().time()
        return client, True

    async def _after_refusal(self, refused: RefusedError) -> None:
        client = self._client
        if client is None:
            return
        try:
            if refused.code == _CLOSING:
                raise SMTPServerDisconnected("the server closes")
            await asyncio.wait_for(client.rset(), self._provider.timeout)
        except (SMTPException, OSError, TimeoutError):
            self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


def _judged(code: int) -> RefusedError | ProviderAwayError:
    return ProviderAwayError(f"smtp_{code}") if is_our_fault(code) else RefusedError(code)
