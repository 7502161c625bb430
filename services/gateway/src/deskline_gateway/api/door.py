"""One request through the door: who it is, whether they may, what is passed on, what comes back."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from deskline_chassis.http import Problem
from deskline_chassis.identity import HEADER, Identity, sign
from deskline_chassis.telemetry import traceparent_to_callee
from deskline_gateway.adapters.token_cache import TokenCache, TokensAwayError
from deskline_gateway.api import problems
from deskline_gateway.domain.headers import HeaderRefusedError, inward, is_query, outward
from deskline_gateway.domain.rules import ParameterRefusedError, Rule
from deskline_gateway.domain.tokens import presented
from deskline_gateway.figures import REQUESTS
from deskline_gateway.ports import Answer, Call, OwnerAwayError, Owners

log = structlog.get_logger(__name__)

BODY_SECONDS: Final = 10.0

_PROBLEM: Final = "application/problem+json"


@dataclass(slots=True)
class Door:
    """Lets requests through by their rule; `in_flight` is how many at once, more are shed."""

    tokens: TokenCache
    owners: Owners
    private_key: str
    in_flight: int
    body_seconds: float = BODY_SECONDS
    _inside: int = field(default=0, init=False)

    async def pass_on(self, rule: Rule, request: Request) -> Response:
        """The owner's answer to a request; raises Problem, counted like an answer."""
        try:
            with self._place():
                response = await self._pass_on(rule, request)
        except Problem as problem:
            REQUESTS.labels(rule.name, f"{problem.status // 100}xx").inc()
            raise
        REQUESTS.labels(rule.name, f"{response.status_code // 100}xx").inc()
        return response

    async def _pass_on(self, rule: Rule, request: Request) -> Response:
        identity = await self._identify(request)
        if not rule.allows(identity.roles):
            raise problems.role_refused(rule)
        call = Call(
            rule.method,
            _path(rule, request),
            _query(request),
            self._headers(rule, request, identity),
            await self._body(request) if rule.command else b"",
        )
        try:
            answer = await self.owners.ask(rule.owner, call)
        except OwnerAwayError as away:
            log.warning("owner away", owner=rule.owner, maybe_done=away.maybe_done, exc_info=away)
            unknown = rule.command and away.maybe_done
            raise (problems.outcome_unknown if unknown else problems.owner_away)(rule) from None
        return _response(rule, answer)

    async def _identify(self, request: Request) -> Identity:
        try:
            token = await self.tokens.believe(
                presented(request.headers.getlist("authorization")), datetime.now(UTC)
            )
        except TokensAwayError as away:
            log.warning("tokens away", exc_info=away)
            raise problems.tokens_away() from None
        if token is None:
            raise problems.token_refused()
        return Identity(token.actor_id, token.roles, token.scope)

    def _headers(self, rule: Rule, request: Request, identity: Identity) -> dict[str, str]:
        try:
            passed = inward(request.headers.items())
        except HeaderRefusedError as refused:
            raise problems.invalid_header(refused.name, refused.reason) from None
        passed[HEADER] = sign(self.private_key, identity, rule.owner, datetime.now(UTC))
        traceparent = traceparent_to_callee()
        return passed if traceparent is None else passed | {"traceparent": traceparent}

    async def _body(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(self.body_seconds):
                return await request.body()
        except (TimeoutError, ClientDisconnect):
            raise problems.body_too_slow() from None

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._inside >= self.in_flight:
            raise problems.overloaded()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


def _path(rule: Rule, request: Request) -> str:
    try:
        return rule.path_for(request.path_params)
    except ParameterRefusedError as refused:
        raise problems.invalid_request(f"path.{refused.name}", f"it should be {refused.wanted}") from None


def _query(request: Request) -> bytes:
    query: bytes = request.scope["query_string"]
    if not is_query(query):
        raise problems.invalid_query()
    return query


def _response(rule: Rule, answer: Answer) -> Response:
    headers = outward(answer.headers)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("owner failed", owner=rule.owner, status=answer.status)
        raise problems.owner_failed(rule.owner, answer.status, [headers.get("retry-after", "")])
    # A 401 is about the identity that we signed: to the caller it would look like a bad token.
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES or _is_problem(answer, headers):
        return Response(answer.body, answer.status, headers)
    log.error("owner gave an answer that can't be passed on", owner=rule.owner, status=answer.status)
    raise problems.owner_unreadable(rule.owner)


def _is_problem(answer: Answer, headers: dict[str, str]) -> bool:
    """Whether the owner refused the caller, in the one shape that refusals have."""
    refused = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    if not refused or answer.status == HTTPStatus.UNAUTHORIZED:
        return False
    if not headers.get("content-type", "").startswith(_PROBLEM):
        return False
    try:
        return isinstance(json.loads(answer.body), dict)
    except ValueError:
        return False
