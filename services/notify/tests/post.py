"""A provider that takes mails, or does what a test wants of it instead."""

import asyncio
import email
import email.policy
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP

Answer = Callable[["Taken"], Awaitable[str] | str]


@dataclass
class Taken:
    """A mail as the provider got it."""

    sender: str
    recipient: str
    message: EmailMessage
    content: bytes
    server: Any

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


class Post:
    """A provider: takes what it is given, unless it is told otherwise."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.accepted: list[Taken] = []
        self.answer: Answer = lambda _: "250 OK"
        self.answer_recipient: Callable[[str], str] = lambda _: "250 OK"
        self.connections = 0
        self._lock = threading.Lock()
        self.port = 0
        self.start()

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        answer = self.answer_recipient(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        taken = Taken(envelope.mail_from.strip("<>"), envelope.rcpt_tos[0], message, envelope.content, server)
        with self._lock:
            self.taken.append(taken)
        answered = self.answer(taken)
        answer = answered if isinstance(answered, str) else await answered
        if answer.startswith("250"):
            with self._lock:
                self.accepted.append(taken)
        return answer

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._sessions: set[SMTP] = set()

        def session() -> SMTP:
            made = SMTP(self, hostname="post", loop=self._loop, timeout=60)
            self._sessions.add(made)
            self.connections += 1
            return made

        listening = self._loop.create_server(session, "127.0.0.1", self.port)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Go away, with all connections."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for session in self._sessions:
            if isinstance(session.transport, asyncio.Transport):
                session.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ids(self) -> list[str]:
        with self._lock:
            return [one.message_id for one in self.accepted]

    def to(self, address: str) -> list[Taken]:
        with self._lock:
            return [one for one in self.accepted if one.recipient == address]
