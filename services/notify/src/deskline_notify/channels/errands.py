"""Errands of one process: a queue for its connections, what became of each, the provider's absence."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from deskline_notify import figures
from deskline_notify.adapters.claims import Verdict
from deskline_notify.adapters.waker import Waker
from deskline_notify.domain.retrying import delay_after, is_permanent
from deskline_notify.handlers.sending import Errand
from deskline_notify.ports import Connection, InterruptedSendingError, ProviderAwayError, RefusedError

log = structlog.get_logger(__name__)

AWAY_SECONDS: Final = (0.5, 10.0)
UNCOMMITTED_PER_CONNECTION: Final = 2
"""Mails that may be handed over and not committed yet: so many, at most, are sent anew after a kill."""

GATHER_SECONDS: Final = 0.05
"""How long a result waits for others, so that one commit has many of them."""

RECENT_SECONDS: Final = 2.0
SPARED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Sending:
    """How this deployment sends: the wait before a second try, and seconds for which a claim is ours.

    A claim is renewed while its process lives, so that a dead one's mails wait no longer than this.
    """

    first_retry: timedelta
    lease: float = 15.0

    @property
    def renewal(self) -> float:
        """Seconds between renewals."""
        return self.lease / 4

    @property
    def trusted(self) -> float:
        """Seconds after a claim or renewal in which a mail may still be begun."""
        return self.lease * 0.75


@dataclass(slots=True)
class _Turn:
    errand: Errand
    begin_before: float


class Round:
    """The errands of one life of the channel, and what became of them."""

    def __init__(self, sending: Sending, chance: Callable[[], float], waker: Waker) -> None:
        self._sending = sending
        self._chance = chance
        self._waker = waker
        self._queue: asyncio.Queue[_Turn | None] = asyncio.Queue()
        self._held: dict[int, _Turn] = {}
        self._begun: Counter[int] = Counter()
        self._room = asyncio.Semaphore(0)
        self._verdicts: list[Verdict] = []
        self._something = asyncio.Event()
        self._enough = asyncio.Event()
        self._closed = False
        self._busy = 0
        self._workers = 0
        self._succeeded_at = -RECENT_SECONDS
        self._away_until = 0.0
        self._away_for = 0.0
        self.away: str | None = None
        self.more = True

    def wanted(self, most: int) -> int:
        """How many to claim now: none while there is enough, one to see whether the provider is back."""
        if self.away is not None:
            is_time = asyncio.get_running_loop().time() >= self._away_until
            return 1 if is_time and self._busy == 0 and self._queue.empty() else 0
        return most if self._queue.qsize() < self._workers else 0

    async def wait(self, seconds: float) -> None:
        """Until there is room, or it is time to look after the provider."""
        if self.away is not None:
            left = self._away_until - asyncio.get_running_loop().time()
            await asyncio.sleep(min(max(left, 0.01), seconds))
        else:
            await self._waker.wait(seconds)

    def take(self, errands: Sequence[Errand], claimed_at: float, *, more: bool) -> None:
        """Put claimed mails into the queue; they begin while their lease is long enough.

        `more` says that the claim left some behind, which are fetched when these run out.
        """
        self.more = more
        for errand in errands:
            turn = _Turn(errand, claimed_at + self._sending.trusted)
            self._held[errand.claimed.place] = turn
            self._queue.put_nowait(turn)

    def held(self) -> list[tuple[int, UUID]]:
        """(place, lease) of all that is not committed yet."""
        return [(place, turn.errand.lease) for place, turn in self._held.items()]

    def renewed(self, places: Collection[int], renewed_at: float) -> None:
        """These are ours for longer."""
        for place in places:
            if place in self._held:
                self._held[place].begin_before = renewed_at + self._sending.trusted

    def committed(self, verdicts: Sequence[Verdict]) -> None:
        """These are nobody's errand any more."""
        for verdict in verdicts:
            self._held.pop(verdict.place, None)
            if self._begun[verdict.place]:
                self._begun[verdict.place] -= 1
                self._room.release()
            if not self._begun[verdict.place]:
                del self._begun[verdict.place]

    def tell(self, *verdicts: Verdict) -> None:
        """What became of some."""
        self._verdicts.extend(verdicts)
        if verdicts:
            self._something.set()
        if self._is_at_rest():
            self._enough.set()

    async def told(self) -> list[Verdict]:
        """All that was told since, gathered from all connections; empty once the round is closed."""
        while not self._verdicts and not self._closed:
            self._something.clear()
            await self._something.wait()
        self._enough.clear()
        if not self._closed and not self._is_at_rest():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), GATHER_SECONDS)
        told, self._verdicts = self._verdicts, []
        return told

    def _is_at_rest(self) -> bool:
        """Whether nothing more will be told before a commit: no mail is under way, and none can begin."""
        return self._busy == 0 and (self._room.locked() or self._queue.empty())

    def let_go(self) -> None:
        """Put back what is not begun, and let the workers end."""
        while not self._queue.empty():
            turn = self._queue.get_nowait()
            if turn is not None:
                self.tell(self._back(turn.errand, timedelta()))
        for _ in range(self._workers):
            self._queue.put_nowait(None)

    def close(self) -> None:
        """Nothing more will be told."""
        self._closed = True
        self._something.set()
        self._enough.set()

    async def work(self, connection: Connection) -> None:
        """Send one mail after another over a connection."""
        self._workers += 1
        for _ in range(UNCOMMITTED_PER_CONNECTION):
            self._room.release()
        loop = asyncio.get_running_loop()
        # Where commits take long, nothing more is handed over: a kill would repeat it all.
        while await self._room.acquire() and (turn := await self._queue.get()) is not None:
            self._begun[turn.errand.claimed.place] += 1
            if self.more and self._queue.qsize() < self._workers:
                self._waker.ring()
            if loop.time() > turn.begin_before or (self.away is not None and loop.time() < self._away_until):
                self.tell(self._back(turn.errand, timedelta(seconds=self._away_for)))
                continue
            self._busy += 1
            try:
                verdict = await self._send(connection, turn.errand)
            finally:
                self._busy -= 1
            self.tell(verdict)
            if not verdict.attempted and self.away is None:
                await asyncio.sleep(SPARED_SECONDS)  # the provider may want fewer connections

    async def _send(self, connection: Connection, errand: Errand) -> Verdict:
        loop = asyncio.get_running_loop()
        claimed, begun_at = errand.claimed, loop.time()
        try:
            await connection.send(errand.mail)
        except RefusedError as refused:
            self._provider_answers()
            reason = f"smtp_{refused.code}"
            if is_permanent(refused.code):
                return Verdict(claimed.place, errand.lease, "failed", reason)
            return self._later(errand, reason)
        except InterruptedSendingError as interrupted:
            return self._later(errand, interrupted.reason)
        except ProviderAwayError as away:
            self._provider_is_away(away.reason)
            return self._back(errand, timedelta(seconds=self._away_for))
        self._provider_answers()
        figures.SEND_SECONDS.observe(loop.time() - begun_at)
        return Verdict(claimed.place, errand.lease, "sent")

    def _later(self, errand: Errand, reason: str) -> Verdict:
        claimed = errand.claimed
        figures.NOTIFICATIONS.labels(claimed.kind, "retried").inc()
        delay = delay_after(claimed.attempts + 1, self._sending.first_retry, self._chance())
        return Verdict(claimed.place, errand.lease, "deferred", reason, delay)

    @staticmethod
    def _back(errand: Errand, delay: timedelta) -> Verdict:
        return Verdict(errand.claimed.place, errand.lease, "deferred", None, delay, attempted=False)

    def _provider_answers(self) -> None:
        self._succeeded_at = asyncio.get_running_loop().time()
        if self.away is not None:
            log.info("the provider is back")
        self.away, self._away_for = None, 0.0

    def _provider_is_away(self, reason: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._succeeded_at < RECENT_SECONDS and self.away is None:
            return  # another connection works
        first, most = AWAY_SECONDS
        if self.away is None:
            log.warning("the provider can't be reached", cause=reason)
        if self.away is None or now >= self._away_until:
            self._away_for = min(max(self._away_for * 2, first), most)
            self._away_until = now + self._away_for
        self.away = reason
