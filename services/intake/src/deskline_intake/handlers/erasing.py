"""A person is erased: what is theirs is announced as far as it must be, then forgotten for ever."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

import structlog

from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.idempotency import Answer, KeyedCommand, find_answer, keep_answer
from deskline_chassis.postgres import Conn, Database
from deskline_events.intake import PersonErased
from deskline_intake import figures
from deskline_intake.adapters import erasure, raw_messages
from deskline_intake.adapters.erasure import HEAD_BYTES, Unread
from deskline_intake.handlers.messages import announce_mails
from deskline_intake.parser import Identity, Order, identify_form, identify_mail, nothing_read, sender_of
from deskline_intake.ports import ReadMail, Registry

log = structlog.get_logger(__name__)

PROBLEM: Final = "person_erased"
_AT_A_TIME: Final = 50


class ContactUnknownError(Exception):
    """There is no such contact."""

    safe_message = True


@dataclass(slots=True)
class _Found:
    """The unread messages that were looked at, and those of the person among them."""

    addresses: frozenset[str]
    seen: set[UUID] = field(default_factory=set)
    theirs: list[ReadMail] = field(default_factory=list)

    def look(self, connection: Conn) -> None:
        """Look at those that were not looked at yet."""
        while self.addresses and (some := self._next(connection)):
            self.seen.update(unread.mail.raw_id for unread in some)
            self.theirs += [
                _unreadable(unread, sender) for unread in some if (sender := self._sender(unread))
            ]

    def _next(self, connection: Conn) -> list[Unread]:
        return erasure.find_unread(connection, self.addresses, self.seen, _AT_A_TIME)

    def _sender(self, unread: Unread) -> str | None:
        mail = unread.mail
        sender = sender_of(unread.head, mail.envelope_from, form=mail.is_form)
        return sender if sender in self.addresses else None


class Eraser:
    """Erases people, one transaction each."""

    def __init__(self, database: Database, events: EventLog, registry: Registry) -> None:
        self._database = database
        self._events = events
        self._registry = registry

    def erase(self, contact_id: UUID, cause: Cause, asked: KeyedCommand | None = None) -> Answer:
        """Forget a contact for ever; a second time the answer is the same and nothing is announced.

        Raises ContactUnknownError, KeyReusedError and psycopg's errors.
        """
        with self._database.transaction() as connection:
            found = _Found(erasure.addresses_of(connection, contact_id))
            found.look(connection)
            envelopes = erasure.find_envelopes(connection, found.addresses)
        with self._database.transaction() as connection:
            self._events.lock(connection)
            answer = None if asked is None else find_answer(connection, asked)
            if answer is not None:
                return answer
            erased_at = _erased_at(connection, contact_id)
            if first := erased_at is None:
                self._forget(connection, contact_id, found, envelopes)
                self._events.keys.erase(connection, contact_id)
                fact = PersonErased(contact_id=contact_id)
                self._events.append(connection, [NewEvent(contact_id, fact, cause)])
                erased_at = _erased_at(connection, contact_id)
            assert erased_at is not None  # noqa: S101 -- the key ring wrote it
            answer = Answer(200, {"contact_id": str(contact_id), "erased_at": erased_at.isoformat()})
            if asked is not None:
                keep_answer(connection, asked, answer)
        if first:
            self._events.ring()
            figures.ERASED.inc()
            log.info("person erased", contact_id=contact_id)
        return answer

    def _forget(self, connection: Conn, contact_id: UUID, found: _Found, envelopes: Sequence[UUID]) -> None:
        """Under the log's lock, so that nothing of theirs is announced between the steps."""
        addresses = erasure.addresses_of(connection, contact_id)
        if addresses != found.addresses:
            found = _Found(addresses)
        found.look(connection)
        waiting = self._announce_unread(connection, found.theirs)
        messages = sorted({*erasure.find_messages(connection, contact_id), *waiting})
        raw_messages.forget_raw(connection, messages)
        erasure.forget_objects(connection, messages)
        erasure.forget_envelopes(connection, envelopes, addresses)
        erasure.forget_person(connection, contact_id, addresses)

    def _announce_unread(self, connection: Conn, theirs: Sequence[ReadMail]) -> Collection[UUID]:
        """What was accepted has its one effect: it is announced, empty, under the key that goes now."""
        unread = raw_messages.lock_unread(connection, [read.mail.raw_id for read in theirs])
        mails = sorted(
            (read for read in theirs if read.mail.raw_id in unread), key=lambda read: read.mail.arrival
        )
        if mails:
            outcomes = announce_mails(connection, self._events, self._registry, mails)
            raw_messages.mark_read(connection, outcomes)
            figures.ANNOUNCED.labels("erased").inc(len(outcomes))
        return unread


def _erased_at(connection: Conn, contact_id: UUID) -> datetime | None:
    person = erasure.find_person(connection, contact_id)
    if person is None:
        raise ContactUnknownError("there is no such contact")
    return person[0]


def _unreadable(unread: Unread, sender: str) -> ReadMail:
    mail = unread.mail
    reading = replace(nothing_read(_identity(unread), PROBLEM), sender=sender)
    return ReadMail(mail, reading, {}, None, None, failed=False, traceparent=mail.traceparent)


def _identity(unread: Unread) -> Identity:
    """As the parser would tell it, so that a later delivery of the same is known; but of a large mail."""
    mail = unread.mail
    if mail.is_form:
        return identify_form(unread.head)
    if mail.size <= HEAD_BYTES:
        return identify_mail(unread.head, Order(str(mail.line.line_id), str(mail.raw_id), None, ()))
    digest = sha256(f"erased/{mail.raw_id}".encode()).hexdigest()
    return Identity(digest, digest, windowed=False, message_id_hash=None)
