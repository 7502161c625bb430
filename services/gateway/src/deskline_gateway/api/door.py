"""One request through the door: who it is, whether they may, what is passed on, what comes back."""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from deskline_chassis.http import Problem
from deskline_gateway.api import problems
from deskline_gateway.api.admission import Admission
from deskline_gateway.api.asking import Asking, is_success, passed_on
from deskline_gateway.api.live_views import LiveViews
from deskline_gateway.domain.headers import OF_FORMS, HeaderRefusedError, inward, is_query
from deskline_gateway.domain.rules import ParameterRefusedError, Rule
from deskline_gateway.figures import REQUESTS
from deskline_gateway.ports import OwnerAwayError

log = structlog.get_logger(__name__)

BODY_SECONDS: Final = 10.0


@dataclass(slots=True)
class Door:
    """Lets requests through by their rule; `body_seconds` is how long a body may take."""

    admission: Admission
    asking: Asking
    live_views: LiveViews
    body_seconds: float = BODY_SECONDS

    async def pass_on(self, rule: Rule, request: Request) -> Response:
        """The owner's answer to a request; raises Problem, counted like an answer."""
        try:
            response = await self._pass_on(rule, request)
        except Problem as problem:
            REQUESTS.labels(rule.name, f"{problem.status // 100}xx").inc()
            raise
        REQUESTS.labels(rule.name, f"{response.status_code // 100}xx").inc()
        return response

    async def _pass_on(self, rule: Rule, request: Request) -> Response:
        admitted = await self.admission.admit(rule, request)
        path, query, headers = _path(rule, request), _query(request), _headers(rule, request)
        try:
            if rule.watches is not None:
                return await self.live_views.open(rule, path, request, admitted)
            if rule.behind_card:
                card = await self.asking.ask(
                    "tickets", admitted.identity, "GET", rule.card_for(request.path_params), headers=headers
                )
                if not is_success(card):
                    return passed_on("tickets", card)
            body = await self._body(request) if rule.has_body else b""
            answer = await self.asking.ask(
                rule.owner, admitted.identity, rule.method, path, query=query, headers=headers, body=body
            )
        except OwnerAwayError as away:
            log.warning("owner away", owner=away.owner, maybe_done=away.maybe_done, exc_info=away)
            if rule.changes and away.maybe_done:
                raise problems.outcome_unknown(rule) from None
            raise problems.owner_away(away.owner) from None
        return passed_on(rule.owner, answer)

    async def _body(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(self.body_seconds):
                return await request.body()
        except (TimeoutError, ClientDisconnect):
            raise problems.body_too_slow() from None


def _headers(rule: Rule, request: Request) -> dict[str, str]:
    try:
        return inward(request.headers.items(), OF_FORMS if rule.public else ())
    except HeaderRefusedError as refused:
        raise problems.invalid_header(refused.name, refused.reason) from None


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
