"""A filled form is taken over: once for its client's key, no more often than its line and address may."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import ClassVar, Final
from uuid import UUID

from deskline_chassis.postgres import Conn, Database
from deskline_intake import figures
from deskline_intake.adapters import forms, raw_messages
from deskline_intake.domain.addresses import split_plus_address
from deskline_intake.domain.forms import Form, raw_id_of, scope_of, source_key_of, write_form
from deskline_intake.domain.pressure import Pressure
from deskline_intake.domain.rates import Rate, recent, wait_for
from deskline_intake.domain.senders import lane_of
from deskline_intake.ports import AcceptedMail, StoredLine

# A flood of forms waits for one another's locks: it must not take the connections that mail needs.
AT_A_TIME: Final = 2
WAIT_SECONDS: Final = 1.0


class FormRefused(Exception):  # noqa: N818 -- an answer, as a Problem is
    """A form is not taken, and nothing was written; `code` says why."""

    safe_message: ClassVar[bool] = True

    def __init__(self, code: str, retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after = None if retry_after is None else max(1, ceil(retry_after.total_seconds()))


@dataclass(frozen=True, slots=True)
class FormPost:
    """A form that was sent to a line; `trapped`: a field that people don't see was filled."""

    line: StoredLine
    client_key: str
    form: Form
    trapped: bool
    traceparent: str | None


class FormDoor:
    """Takes forms over; several replicas keep one count."""

    def __init__(
        self, database: Database, pressure: Pressure, line: Rate, address: Rate, ring: Callable[[], None]
    ) -> None:
        self._database = database
        self._pressure = pressure
        self._line = line
        self._address = address
        self._ring = ring
        self._turns = threading.BoundedSemaphore(AT_A_TIME)

    def accept(self, post: FormPost) -> UUID:
        """The message's id, once it is stored; raises FormRefused and psycopg's errors."""
        source_key = source_key_of(post.line.line_id, post.client_key)
        raw_id = raw_id_of(source_key)
        if post.trapped:
            # A robot must not learn that it was found out.
            figures.FORMS.labels("trapped").inc()
            return raw_id
        if self._pressure.is_high:
            figures.SHED.labels("form").inc()
            figures.FORMS.labels("busy").inc()
            raise FormRefused("busy", timedelta(seconds=self._pressure.retry_seconds))
        mail = _accepted(post, source_key, raw_id)
        try:
            with self._turn(), self._database.transaction() as connection:
                stored = self._store(connection, post.line, post.form, mail)
        except FormRefused as refused:
            figures.FORMS.labels(refused.code).inc()
            raise
        figures.FORMS.labels("accepted" if stored else "repeated").inc()
        if stored:
            self._ring()
        return raw_id

    def _store(self, connection: Conn, line: StoredLine, form: Form, mail: AcceptedMail) -> bool:
        scopes = (scope_of("line", str(line.line_id)), scope_of("address", form.address))
        rates = dict(zip(scopes, (self._line, self._address), strict=True))
        if _is_repeated(connection, mail):
            return False
        if forms.is_own_address(connection, split_plus_address(form.address)[0]):
            raise FormRefused("own_address")
        hits, now = forms.read_hits(connection, scopes)
        # A flood is refused before it waits for locks.
        _refuse_over(max(wait_for(hits.get(scope, ()), now, rate) for scope, rate in rates.items()))
        hits, now = forms.lock_hits(connection, scopes)
        if _is_repeated(connection, mail):
            return False
        _refuse_over(max(wait_for(hits[scope], now, rate) for scope, rate in rates.items()))
        raw_messages.insert_mails(connection, [mail])
        forms.save_hits(
            connection,
            [
                (scope, [*recent(hits[scope], now, rate), now], now + rate.window)
                for scope, rate in rates.items()
            ],
        )
        return True

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=WAIT_SECONDS):
            raise FormRefused("busy", timedelta(seconds=2))
        try:
            yield
        finally:
            self._turns.release()


def _is_repeated(connection: Conn, mail: AcceptedMail) -> bool:
    known = forms.find_form(connection, mail.raw_id)
    if known is None:
        return False
    # Of somebody who was erased nothing is left to compare with.
    if known[0] is not None and known[0] != b"".join(mail.pieces):
        raise FormRefused("key_reused")
    return True


def _refuse_over(wait: timedelta) -> None:
    if wait > timedelta():
        raise FormRefused("too_many", wait)


def _accepted(post: FormPost, source_key: str, raw_id: UUID) -> AcceptedMail:
    raw = write_form(post.form, source_key)
    return AcceptedMail(
        raw_id=raw_id,
        line_id=post.line.line_id,
        lane=lane_of(post.line.line_id, post.form.address),
        heavy=False,
        envelope_from=None,
        reply_token=None,
        pieces=[raw],
        size=len(raw),
        traceparent=post.traceparent,
    )
