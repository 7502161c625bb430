"""Filled forms are taken over: each once for its client's key, no more often than line and address may."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from typing import ClassVar
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_intake.adapters import forms, raw_messages
from deskline_intake.adapters.forms import Scope
from deskline_intake.domain.addresses import split_plus_address
from deskline_intake.domain.forms import Form, raw_id_of, scope_of, source_key_of, write_form
from deskline_intake.domain.rates import Rate, recent, wait_for
from deskline_intake.domain.senders import lane_of
from deskline_intake.ports import AcceptedMail, StoredLine


class FormRefused(Exception):  # noqa: N818 -- an answer, as a Problem is
    """A form is not taken, and nothing was written; `code` says why."""

    safe_message: ClassVar[bool] = True

    def __init__(self, code: str, retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after = None if retry_after is None else max(1, ceil(retry_after.total_seconds()))


Outcome = bool | FormRefused
ReadHits = Callable[[Conn, Sequence[Scope]], tuple[Mapping[Scope, list[datetime]], datetime]]


@dataclass(frozen=True, slots=True)
class Rates:
    """How often a line, and an address on all lines together, may send."""

    line: Rate
    address: Rate


@dataclass(frozen=True)
class FormPost:
    """A form that was sent to a line; `trapped`: a field that people don't see was filled."""

    line: StoredLine
    client_key: str
    form: Form
    trapped: bool
    traceparent: str | None

    @cached_property
    def source_key(self) -> str:
        return source_key_of(self.line.line_id, self.client_key)

    @cached_property
    def raw_id(self) -> UUID:
        """The message's id: the same for the same key on the same line."""
        return raw_id_of(self.source_key)

    @cached_property
    def raw(self) -> bytes:
        """What is stored of it."""
        return write_form(self.form, self.source_key)

    def counted(self, rates: Rates) -> dict[Scope, Rate]:
        """What it counts for."""
        return {
            scope_of("line", str(self.line.line_id)): rates.line,
            scope_of("address", self.form.address): rates.address,
        }


@dataclass(slots=True)
class _Books:
    """What is known of these forms: what was accepted under their ids, and when lately of their scopes."""

    rates: Rates
    own: AbstractSet[str]
    known: dict[UUID, bytes | None]
    hits: dict[Scope, list[datetime]]
    now: datetime

    def outcome(self, post: FormPost) -> Outcome | None:
        """What is to be said of a form without storing it; None where it is to be stored."""
        if post.raw_id in self.known:
            raw = self.known[post.raw_id]
            # Of somebody who was erased nothing is left to compare with.
            return False if raw is None or raw == post.raw else FormRefused("key_reused")
        if split_plus_address(post.form.address)[0] in self.own:
            return FormRefused("own_address")
        wait = max(
            wait_for(self.hits.get(scope, ()), self.now, rate)
            for scope, rate in post.counted(self.rates).items()
        )
        return FormRefused("too_many", wait) if wait > timedelta() else None

    def add(self, post: FormPost) -> None:
        """It is stored now, and those behind it find it so."""
        self.known[post.raw_id] = post.raw
        for scope, rate in post.counted(self.rates).items():
            self.hits[scope] = [*recent(self.hits.get(scope, ()), self.now, rate), self.now]


def take_forms(connection: Conn, posts: Sequence[FormPost], rates: Rates) -> list[Outcome]:
    """Of each: True where it was stored now, False where it repeats one that was, or why it is not taken."""
    own = forms.own_addresses(connection, {split_plus_address(post.form.address)[0] for post in posts})

    def books(asking: Sequence[FormPost], read: ReadHits) -> _Books:
        hits, now = read(connection, sorted({scope for post in asking for scope in post.counted(rates)}))
        known = forms.find_forms(connection, [post.raw_id for post in asking])
        return _Books(rates, own, known, dict(hits), now)

    # A flood is refused before it waits for locks.
    before = books(posts, forms.read_hits)
    asking = [post for post in posts if before.outcome(post) is None]
    now = books(asking, forms.lock_hits) if asking else before
    fresh: list[FormPost] = []
    outcomes: list[Outcome] = []
    for post in posts:
        outcome = before.outcome(post)
        if outcome is None:
            outcome = now.outcome(post)
        if outcome is None:
            now.add(post)
            fresh.append(post)
            outcome = True
        outcomes.append(outcome)
    if fresh:
        raw_messages.insert_mails(connection, [_accepted(post) for post in fresh])
        ends = {scope: now.now + rate.window for post in fresh for scope, rate in post.counted(rates).items()}
        forms.save_hits(connection, [(scope, now.hits[scope], ends_at) for scope, ends_at in ends.items()])
    return outcomes


def _accepted(post: FormPost) -> AcceptedMail:
    return AcceptedMail(
        raw_id=post.raw_id,
        line_id=post.line.line_id,
        lane=lane_of(post.line.line_id, post.form.address),
        heavy=False,
        envelope_from=None,
        reply_token=None,
        pieces=[post.raw],
        size=len(post.raw),
        traceparent=post.traceparent,
    )
