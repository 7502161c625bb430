"""The SMTP door: mail for our lines is stored, committed and only then acknowledged."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog
from uuid_utils.compat import uuid7

from deskline_chassis.loops import Beat, FatalLoopError
from deskline_chassis.postgres import Database
from deskline_chassis.settings import WRONG_SETTINGS
from deskline_chassis.telemetry import in_span, set_attributes, start_root, traceparent_of
from deskline_intake import figures
from deskline_intake.adapters.lines import find_mail_line
from deskline_intake.adapters.raw_messages import Unit, store_units
from deskline_intake.channels.group_commit import GroupCommit
from deskline_intake.channels.known_lines import KnownLines
from deskline_intake.channels.smtp_session import Content, Envelope, InFlight, MailSession, TurnedAway
from deskline_intake.domain.addresses import normalise_address, split_plus_address
from deskline_intake.domain.pressure import Pressure
from deskline_intake.domain.senders import author_of, lane_of
from deskline_intake.messages import reply_token
from deskline_intake.ports import AcceptedMail
from deskline_intake.reading import Bell
from deskline_intake.settings import IntakeSettings

log = structlog.get_logger(__name__)

HEAVY_BYTES: Final = 256 * 1024
HEAVY_PARTS: Final = 60
STORE_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 5.0
# Connections that wait to be let in. Who is to be sent away must get in as far as that: where the queue is
# full, TCP tries again after 1, 3, 7, 15 and 31 s. asyncio listens anew, and with 100 unless told.
WAITING: Final = 2_048
_CROWDED: Final = "421 4.3.2 Too many connections, try again later"
_PRESSED: Final = "4.3.2 Too much mail is on its way, try again later"
_LATER: Final = "451 4.3.0 Not possible at the moment, try again later"


class MailEnvelope(Envelope):
    """What was agreed before DATA: the lines, each with its reply token."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[UUID, str | None] = {}


class SmtpDoor:
    """What every connection shares; aiosmtpd calls the `handle_…` methods."""

    def __init__(self, settings: IntakeSettings, database: Database, bell: Bell, pressure: Pressure) -> None:
        self.in_flight = InFlight(settings.smtp_in_flight_bytes)
        self.mail_bytes = settings.mail_bytes
        self._settings = settings
        self._pressure = pressure
        self._database = database
        self._group: GroupCommit[Unit, None] = GroupCommit("mail-store", self._store, bell.ring, _size)
        self._sessions: set[MailSession] = set()
        self._empty = asyncio.Event()
        self._lines = KnownLines(database, find_mail_line)

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Serve until stopped; ends the process with exit code 2 where it can't listen."""
        running = asyncio.get_running_loop()
        host, port = self._settings.smtp_host, self._settings.smtp_port
        listener = _listen(host, port)
        server = await running.create_server(self._session, sock=listener, backlog=WAITING)
        log.info("mail door open", host=host, port=listener.getsockname()[1])
        try:
            while not stop.is_set():
                beat.progress()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1.0)
        finally:
            server.close()
            await self._close()

    async def _close(self) -> None:
        for session in tuple(self._sessions):
            session.end()
        if self._sessions:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), CLOSE_SECONDS)
        self._group.close()
        self._lines.close()

    def _session(self) -> asyncio.Protocol:
        if len(self._sessions) >= self._settings.smtp_connections:
            figures.MAILS.labels("deferred").inc()
            return TurnedAway(_CROWDED)
        if self._pressure.is_high:
            self._count_shed()
            return TurnedAway(f"421 {_PRESSED}")
        return _Session(
            self,
            hostname=self._settings.smtp_name,
            timeout=self._settings.smtp_idle_seconds,
            loop=asyncio.get_running_loop(),
        )

    def enter(self, session: MailSession) -> None:
        self._sessions.add(session)
        self._empty.clear()
        figures.CONNECTIONS.set(len(self._sessions))

    def leave(self, session: MailSession) -> None:
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()
        figures.CONNECTIONS.set(len(self._sessions))

    async def handle_MAIL(  # noqa: N802 -- the library's name and signature
        self, _server: Any, _session: Any, envelope: MailEnvelope, address: str, options: list[str]
    ) -> str:
        """A mail begins, unless too much is on its way already."""
        if self._pressure.is_high:
            self._count_shed()
            return f"451 {_PRESSED}"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    def _count_shed(self) -> None:
        figures.MAILS.labels("deferred").inc()
        figures.SHED.labels("mail").inc()

    async def handle_RCPT(  # noqa: N802 -- the library's name and signature
        self, _server: Any, _session: Any, envelope: MailEnvelope, address: str, _options: list[str]
    ) -> str:
        """Our lines' addresses, with or without a token behind the plus, and nobody else's."""
        if len(envelope.rcpt_tos) >= self._settings.smtp_recipients:
            return "452 4.5.3 Too many recipients"
        try:
            line = await self._lines.find(split_plus_address(address)[0])
        except (psycopg.Error, OSError) as error:
            log.warning("lines can't be looked up", cause=type(error).__name__)
            figures.MAILS.labels("deferred").inc()
            return _LATER
        if line is None or line.disabled:
            figures.MAILS.labels("refused").inc()
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        envelope.lines[line.line_id] = envelope.lines.get(line.line_id) or reply_token(address)
        return "250 2.1.5 OK"

    async def handle_exception(self, error: Exception) -> str:
        """Something of ours failed, or the time was over: the sender keeps the mail and tries again."""
        log.warning("a mail command failed", cause=type(error).__name__)
        return _LATER

    async def take(self, envelope: Envelope, content: Content) -> str:
        """Store a mail for its lines, all or none; 250 is said after the commit and never before."""
        assert isinstance(envelope, MailEnvelope)  # noqa: S101 -- _Session makes no other
        span = start_root("mail accepted", size=content.received)
        with in_span(span):
            unit = _unit(envelope, content.pieces, traceparent_of(span))
            stored = self._group.add(unit)
            stored.add_done_callback(lambda done: _close(content, done))
            try:
                await asyncio.wait_for(asyncio.shield(stored), STORE_SECONDS)
            except Exception as error:  # noqa: BLE001 -- whatever it was, the sender must keep the mail
                set_attributes(span, outcome="deferred")
                figures.MAILS.labels("deferred").inc()
                log.warning("a mail could not be stored", cause=type(error).__name__)
                return _LATER
            set_attributes(span, outcome="accepted")
        figures.MAILS.labels("accepted").inc()
        return f"250 2.0.0 OK {unit[0].raw_id}"

    def _store(self, units: Sequence[Unit]) -> list[Exception | None]:
        return store_units(self._database, units)


def _size(unit: Unit) -> int:
    return sum(mail.size for mail in unit)


def _close(content: Content, done: asyncio.Future[None]) -> None:
    content.close()
    if not done.cancelled():
        # A sender who left doesn't ask; asyncio would complain of an error that nobody took.
        done.exception()


class _Session(MailSession):
    def _create_envelope(self) -> MailEnvelope:
        return MailEnvelope()


def _unit(envelope: MailEnvelope, pieces: list[bytes], traceparent: str | None) -> list[AcceptedMail]:
    sender = _plain(envelope.mail_from)
    author = author_of(pieces[0]) or sender
    size = sum(len(piece) for piece in pieces)
    heavy = size > HEAVY_BYTES or sum(piece.count(b"\n--") for piece in pieces) > HEAVY_PARTS
    return [
        AcceptedMail(
            raw_id=uuid7(),
            line_id=line_id,
            lane=lane_of(line_id, author),
            heavy=heavy,
            envelope_from=sender,
            reply_token=token,
            pieces=pieces,
            size=size,
            traceparent=traceparent,
        )
        for line_id, token in envelope.lines.items()
    ]


def _plain(address: str | None) -> str | None:
    """The envelope's sender as it is compared: "" for the null sender, None where it is none."""
    if address in {None, "<>", ""}:
        return None if address is None else ""
    normal = normalise_address(address or "")
    # Bytes that are no UTF-8 come as lone surrogates, which no database takes.
    return normal if normal is not None and normal.isprintable() else None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=WAITING)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise FatalLoopError(WRONG_SETTINGS, f"can't listen for mail on {host} port {port}: {why}") from None
