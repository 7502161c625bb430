"""Who comes in: the token or the lack of one, how often it comes, and the identity that owners are shown."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from fastapi import Request

from deskline_chassis.identity import Identity
from deskline_gateway.adapters.token_cache import TokenCache, TokensAwayError
from deskline_gateway.api import problems
from deskline_gateway.domain.addresses import Network, remote_of
from deskline_gateway.domain.limits import Allowance, Limits
from deskline_gateway.domain.rules import Rule
from deskline_gateway.domain.tokens import presented

log = structlog.get_logger(__name__)

ANONYMOUS: Final = Identity(UUID(int=0), frozenset({"customer"}), "own")
"""Whoever sends a web form: nobody in particular, with no right but to send it."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who was let in; `token` is None for strangers."""

    identity: Identity
    token: UUID | None = None


@dataclass(slots=True)
class Admission:
    """Judges callers; `proxies` are the networks whose X-Forwarded-For is believed."""

    tokens: TokenCache
    limits: Limits
    proxies: Sequence[Network] = ()
    clock: Callable[[], float] = time.monotonic
    _of_token: Allowance = field(init=False)
    _of_stranger: Allowance = field(init=False)
    _of_strangers: Allowance = field(init=False)

    def __post_init__(self) -> None:
        self._of_token = Allowance(self.limits.token)
        self._of_stranger = Allowance(self.limits.stranger)
        self._of_strangers = Allowance(self.limits.strangers)

    async def admit(self, rule: Rule, request: Request) -> Admitted:
        """Whoever may take the route; raises Problem. A token that comes with a public route is not read."""
        if rule.public:
            self._count_stranger(request)
            return Admitted(ANONYMOUS)
        admitted = await self.identify(request)
        self._count(self._of_token.take(admitted.token, self.clock()))
        if not rule.allows(admitted.identity.roles):
            raise problems.role_refused(rule)
        return admitted

    async def identify(self, request: Request) -> Admitted:
        """The token's holder as they are now, uncounted; raises Problem."""
        try:
            token = await self.tokens.believe(
                presented(request.headers.getlist("authorization")), datetime.now(UTC)
            )
        except TokensAwayError as away:
            log.warning("tokens away", exc_info=away)
            raise problems.tokens_away() from None
        if token is None:
            raise problems.token_refused()
        return Admitted(Identity(token.actor_id, token.roles, token.scope), token.id)

    def _count_stranger(self, request: Request) -> None:
        peer = "" if request.client is None else request.client.host
        remote = remote_of(peer, request.headers.getlist("x-forwarded-for"), self.proxies)
        now = self.clock()
        # The address first: one that comes too often must not use up what all the others have.
        self._count(self._of_stranger.take(remote, now))
        self._count(self._of_strangers.take(None, now))

    @staticmethod
    def _count(wait_seconds: float) -> None:
        if wait_seconds:
            raise problems.rate_limited(wait_seconds)
