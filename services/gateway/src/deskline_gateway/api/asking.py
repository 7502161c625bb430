"""The owner's side of a request: the signed identity that goes with it, and what may come back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import Response

from deskline_chassis.identity import HEADER, Identity, sign
from deskline_chassis.telemetry import traceparent_to_callee
from deskline_gateway.api import problems
from deskline_gateway.domain.headers import outward
from deskline_gateway.domain.rules import Method, Owner
from deskline_gateway.ports import Answer, Call, Owners

log = structlog.get_logger(__name__)

_PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks owners in somebody's name."""

    owners: Owners
    private_key: str

    async def ask(
        self,
        owner: Owner,
        identity: Identity,
        method: Method,
        path: str,
        *,
        query: bytes = b"",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """The owner's answer to the call, signed for this owner alone; raises OwnerAwayError."""
        passed = dict(headers or {})
        passed[HEADER] = sign(self.private_key, identity, owner, datetime.now(UTC))
        traceparent = traceparent_to_callee()
        if traceparent is not None:
            passed["traceparent"] = traceparent
        return await self.owners.ask(owner, Call(method, path, query, passed, body))


def passed_on(owner: Owner, answer: Answer) -> Response:
    """The owner's answer for the caller; raises Problem where it can't be passed on."""
    headers = outward(answer.headers)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        code = _problem(answer, headers).get("code", "")
        log.warning("owner failed", owner=owner, status=answer.status)
        raise problems.owner_failed(owner, answer.status, code, headers.get("retry-after", ""))
    # A 401 is about the identity that we signed: to the caller it would look like a bad token.
    refused = answer.status >= HTTPStatus.BAD_REQUEST and answer.status != HTTPStatus.UNAUTHORIZED
    if is_success(answer) or (refused and _problem(answer, headers)):
        return Response(answer.body, answer.status, headers)
    log.error("owner gave an answer that can't be passed on", owner=owner, status=answer.status)
    raise problems.owner_unreadable(owner)


def is_success(answer: Answer) -> bool:
    """Whether the owner did what it was asked."""
    return HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES


def _problem(answer: Answer, headers: dict[str, str]) -> dict[str, Any]:
    """What the owner refused with, in the one shape that refusals have; empty where it has another."""
    if not headers.get("content-type", "").startswith(_PROBLEM):
        return {}
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
