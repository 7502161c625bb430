"""Who watches what: subscribers with bounded buffers, and the notices handed to those they concern."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from deskline_gateway.domain.live import Notice, Progress, Whereabouts
from deskline_gateway.figures import LIVE_CUT, LIVE_STREAMS

BUFFER: Final = 256


class StreamsFullError(Exception):
    """No further stream now; `everybody` says whether for this token only or for all."""

    def __init__(self, *, everybody: bool) -> None:
        super().__init__("all" if everybody else "token")
        self.everybody = everybody


class Subscription:
    """One open stream: what is still to be told, whether something was missed, and whether it is over."""

    def __init__(self, ticket: UUID | None, queue: UUID | None) -> None:
        self.ticket = ticket
        self.queue = queue
        self.listed: frozenset[UUID] = frozenset()
        self.overflowed = False
        self.missed = False
        self.over = False
        self._notices: deque[Notice] = deque()
        self._ring = asyncio.Event()

    def tell(self, notice: Notice) -> None:
        """Keep a notice for the stream; where it reads too slowly, keep that instead."""
        if len(self._notices) >= BUFFER:
            self.overflowed = True
        else:
            self._notices.append(notice)
        self._ring.set()

    def tell_missed(self) -> None:
        """What was to be told may be incomplete: the reader has to ask anew."""
        self._notices.clear()
        self.missed = True
        self._ring.set()

    def end(self) -> None:
        """No more is told."""
        self.over = True
        self._ring.set()

    async def wait(self, seconds: float) -> None:
        """Until there is something to do, or the time is over."""
        try:
            await asyncio.wait_for(self._ring.wait(), max(seconds, 0.0))
        except TimeoutError:
            return

    def take(self) -> list[Notice]:
        """All that is to be told now."""
        taken = list(self._notices)
        self._notices.clear()
        self._ring.clear()
        return taken


class Audience:
    """All open streams of this process; limits are counts, per token and in all."""

    def __init__(self, *, most: int, most_per_token: int) -> None:
        self._most = most
        self._most_per_token = most_per_token
        self._by_token: dict[UUID, int] = defaultdict(int)
        self._subscriptions: set[Subscription] = set()
        self._of_ticket: dict[UUID, set[Subscription]] = defaultdict(set)
        self._of_queue: dict[UUID, set[Subscription]] = defaultdict(set)
        self._listing: dict[UUID, set[Subscription]] = defaultdict(set)
        self._progress = Progress()
        self._whereabouts = Whereabouts()
        self._closed = False
        self._listens = asyncio.Event()

    @contextmanager
    def place(self, token: UUID) -> Iterator[None]:
        """A place among the streams; raises StreamsFullError."""
        if self._closed or sum(self._by_token.values()) >= self._most:
            raise StreamsFullError(everybody=True)
        if self._by_token[token] >= self._most_per_token:
            raise StreamsFullError(everybody=False)
        self._by_token[token] += 1
        try:
            yield
        finally:
            self._by_token[token] -= 1
            if not self._by_token[token]:
                del self._by_token[token]

    @contextmanager
    def subscribed(self, *, ticket: UUID | None = None, queue: UUID | None = None) -> Iterator[Subscription]:
        """A subscription to a ticket, or to a queue, for as long as the context lasts."""
        one = Subscription(ticket, queue)
        self._subscriptions.add(one)
        self._listens.set()
        if ticket is not None:
            self._of_ticket[ticket].add(one)
        if queue is not None:
            self._of_queue[queue].add(one)
        LIVE_STREAMS.set(len(self._subscriptions))
        try:
            yield one
        finally:
            self._subscriptions.discard(one)
            if not self._subscriptions:
                self._listens.clear()
            _leave(self._of_ticket, [] if ticket is None else [ticket], one)
            _leave(self._of_queue, [] if queue is None else [queue], one)
            _leave(self._listing, one.listed, one)
            LIVE_STREAMS.set(len(self._subscriptions))

    def list_tickets(self, one: Subscription, tickets: Collection[UUID]) -> None:
        """The tickets that stood in the subscription's queue when it began."""
        one.listed = frozenset(tickets)
        for ticket in one.listed:
            self._listing[ticket].add(one)

    @property
    def progress(self) -> Progress:
        """How far each stream was told."""
        return self._progress

    @property
    def listens(self) -> bool:
        """Whether any stream is open."""
        return self._listens.is_set()

    async def until_it_listens(self, seconds: float) -> None:
        """Until a stream is open, or the time is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._listens.wait(), seconds)

    def tell(self, ticket: UUID, notice: Notice, moved_to: UUID | None = None) -> None:
        """Hand a notice to all whom it concerns; those of the queue that the ticket leaves are told too."""
        concerned = set(self._of_ticket.get(ticket, ())) | self._watching_queue_of(ticket)
        if moved_to is not None:
            self._whereabouts.moved(ticket, moved_to)
            concerned |= self._watching_queue_of(ticket)
        for one in concerned:
            was_cut = one.overflowed
            one.tell(notice)
            if one.overflowed and not was_cut:
                LIVE_CUT.inc()

    def tell_missed(self) -> None:
        """Nobody can be sure to have been told everything."""
        for one in self._subscriptions:
            one.tell_missed()

    def close(self) -> None:
        """End all streams and begin no other: the process stops."""
        self._closed = True
        for one in self._subscriptions:
            one.end()

    def _watching_queue_of(self, ticket: UUID) -> set[Subscription]:
        queue = self._whereabouts.queue_of(ticket)
        if queue is not None:
            return set(self._of_queue.get(queue, ()))
        # Its routing was not seen here: where it stood when a stream began is the best that is known.
        return set(self._listing.get(ticket, ()))


def _leave(index: dict[UUID, set[Subscription]], keys: Collection[UUID], one: Subscription) -> None:
    for key in keys:
        index[key].discard(one)
        if not index[key]:
            del index[key]
