"""Tokens as this process remembers them, so that the database is not asked on each request."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

import psycopg
from anyio import CapacityLimiter, to_thread

from deskline_gateway.domain.tokens import Presented, Token, is_good
from deskline_gateway.ports import Tokens

FRESH_SECONDS: Final = 3.0
"""A revocation counts after this; it is told to people as five seconds."""
AWAY_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0
MOST: Final = 10_000

_LOOKUPS: Final = 4

T = TypeVar("T")


class TokensAwayError(Exception):
    """The tokens can't be asked at the moment: nobody is let in and nobody is called a stranger."""

    safe_message = True


class TokenCache:
    """Believes tokens that the table believed at most `FRESH_SECONDS` ago.

    Only tokens that exist are remembered, `MOST` of them: a stranger's guesses fill nothing. The age
    counts from before the question, so that a slow answer is no fresher than it is.
    """

    def __init__(self, tokens: Tokens, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._clock = clock
        self._known: OrderedDict[UUID, tuple[float, Token]] = OrderedDict()
        self._asking: dict[UUID, asyncio.Task[Token | None]] = {}
        self._away_until = float("-inf")
        self._limiter = CapacityLimiter(_LOOKUPS)

    async def believe(self, presented: Presented | None, now: datetime) -> Token | None:
        """The token that was brought, when it is good; raises TokensAwayError."""
        if presented is None:
            # The same comparison as for the others; nothing can be good.
            is_good(None, b"", now)
            return None
        token = await self._find(presented.id)
        if not is_good(token, presented.secret, now) or token is None:
            return None
        if token.last_used_on is None or token.last_used_on < now.date():
            await self._ask(lambda: self._tokens.note_use(token.id, now.date()))
            self._known.pop(token.id, None)
        return token

    async def _find(self, token_id: UUID) -> Token | None:
        asked_at, token = self._known.get(token_id, (float("-inf"), None))
        if token is not None and self._clock() - asked_at < FRESH_SECONDS:
            return token
        # Requests that come together ask once; one that is cancelled takes the answer from nobody.
        asking = self._asking.get(token_id)
        if asking is None:
            asking = self._asking[token_id] = asyncio.create_task(self._find_anew(token_id))
            asking.add_done_callback(lambda _: self._asking.pop(token_id, None))
        return await asyncio.shield(asking)

    async def _find_anew(self, token_id: UUID) -> Token | None:
        asked_at = self._clock()
        token = await self._ask(lambda: self._tokens.find(token_id))
        self._known.pop(token_id, None)
        if token is not None:
            self._known[token_id] = (asked_at, token)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return token

    async def _ask(self, question: Callable[[], T]) -> T:
        if self._clock() < self._away_until:
            raise TokensAwayError("the database was away a moment ago")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                # A server that stands still would hold the thread for ever: it is left behind.
                return await to_thread.run_sync(question, limiter=self._limiter, abandon_on_cancel=True)
        except (psycopg.Error, TimeoutError) as error:
            # Whatever is wrong with the database, the caller is neither let in nor called a stranger.
            self._away_until = self._clock() + AWAY_SECONDS
            raise TokensAwayError("the database can't be asked for tokens") from error
