"""A stored message is opened: read here, or in a child process if large or odd, and its objects kept."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from deskline_chassis.postgres import Database
from deskline_chassis.telemetry import in_span, start_child, traceparent_of
from deskline_intake import parser
from deskline_intake.adapters import raw_messages
from deskline_intake.adapters.parser_process import read_in_child
from deskline_intake.domain.problems import Problem
from deskline_intake.messages import is_long
from deskline_intake.parser import Identity, Order, Reading
from deskline_intake.ports import Objects, ReadMail, StoredMail, Turn

log = structlog.get_logger(__name__)

# After these problems nothing of what was written is missing; after all others the raw mail is attached.
_HARMLESS: Final = frozenset({Problem.CHARSET_GUESSED, Problem.DUPLICATE_HEADER, Problem.NO_SENDER})


@dataclass(frozen=True, slots=True)
class OpenedMail:
    """A mail and what it says; `raw` are its bytes, or their file while the child's folder is there."""

    mail: StoredMail
    reading: Reading
    raw: bytes | Path
    failed: bool
    traceparent: str | None


class MailOpener:
    """Opens mails; time limits are seconds."""

    def __init__(
        self,
        database: Database,
        objects: Objects,
        own_domains: frozenset[str],
        parse_seconds: float,
        child: str = parser.__name__,
    ) -> None:
        self._database = database
        self._objects = objects
        self._own_domains = tuple(sorted(own_domains))
        self._parse_seconds = parse_seconds
        self._child = child

    def open(
        self, mail: StoredMail, raws: Mapping[UUID, bytes], turn: Turn, files: contextlib.ExitStack
    ) -> OpenedMail:
        """Read a mail; whatever it holds, the answer is a reading, if only of its headers.

        Raises the surroundings' errors: psycopg's, OSError.
        """
        order = Order(
            str(mail.line.line_id),
            str(mail.raw_id),
            mail.envelope_from,
            self._own_domains,
            self._parse_seconds,
        )
        span = start_child("mail read", mail.traceparent, raw_id=str(mail.raw_id))
        with in_span(span):
            raw: bytes | Path
            if mail.apart:
                chunks = raw_messages.read_raw_in_chunks(self._database, mail.raw_id, mail.size)
                child = read_in_child(chunks, order, turn, self._child)
                reading, raw, failed = files.enter_context(child)
            else:
                # None there: its sender was erased since, and what is read of nothing is not announced.
                raw = raws.get(mail.raw_id, b"")
                reading, failed = _read_form(raw, order) if mail.is_form else _read_here(raw, order)
        return OpenedMail(mail, reading, raw, failed, traceparent_of(span) or mail.traceparent)

    def keep(self, opened: OpenedMail, turn: Turn) -> ReadMail:
        """Write a mail's objects, before the transaction that announces them."""
        reading = opened.reading
        objects = {}
        for index, file in enumerate(reading.files):
            turn()
            objects[index] = self._objects.put(opened.mail.raw_id, file.content)
        raw_id = opened.mail.raw_id
        long = is_long(reading.text, reading.reply)
        return ReadMail(
            mail=opened.mail,
            reading=reading,
            objects=objects,
            text=self._objects.put(raw_id, reading.text.encode()) if long else None,
            raw=None if _HARMLESS.issuperset(reading.problems) else self._objects.put(raw_id, opened.raw),
            failed=opened.failed,
            traceparent=opened.traceparent,
        )

    def discard(self, read: ReadMail) -> None:
        """Remove the objects of a message that somebody else dealt with meanwhile."""
        self._objects.remove([found.key for found in read.stored])

    def notice(self, opened: OpenedMail) -> ReadMail:
        """What is announced of a mail whose own announcement is refused: who, and the raw mail."""
        reading = replace(
            opened.reading,
            sender_name="",
            subject=opened.reading.subject[:100],
            text="",
            reply="",
            message_id=None,
            references=(),
            bounced=(),
            problems=("not_announced",),
            files=(),
        )
        raw = self._objects.put(opened.mail.raw_id, opened.raw)
        return ReadMail(opened.mail, reading, {}, None, raw, failed=True, traceparent=opened.traceparent)


def unopened(opened: OpenedMail) -> ReadMail:
    """A repeated delivery: its objects are there already."""
    reading = replace(opened.reading, files=())
    return ReadMail(
        opened.mail, reading, {}, None, None, failed=opened.failed, traceparent=opened.traceparent
    )


def _read_form(raw: bytes, order: Order) -> tuple[Reading, bool]:
    try:
        return parser.read_form_message(raw), False
    except (ValueError, KeyError, TypeError) as error:
        log.error("a form's message can't be read", exc_info=error, raw_id=order.occurrence)
    return parser.nothing_read(_plain_identity(raw, order), "parser_failed"), True


def _plain_identity(raw: bytes, order: Order) -> Identity:
    digest = hashlib.sha256(b"raw/" + order.line_id.encode() + raw).hexdigest()
    return Identity(digest, digest, windowed=False, message_id_hash=None)


def _read_here(raw: bytes, order: Order) -> tuple[Reading, bool]:
    try:
        return parser.read_mail(raw, order), False
    except Exception as error:
        log.error("the parser failed", exc_info=error, raw_id=order.occurrence)
    identity = _plain_identity(raw, order)
    try:
        return parser.read_headers_alone(raw, identity, order, "parser_failed"), True
    except Exception as error:
        log.error("not even the headers could be read", exc_info=error, raw_id=order.occurrence)
    return parser.nothing_read(identity, "parser_failed"), True
