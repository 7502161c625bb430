"""The door's refusals, each in the caller's language."""

import math
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response

from deskline_chassis.http import Problem
from deskline_gateway.api.wordings import TERMS, WORDINGS, Said
from deskline_gateway.domain.languages import Language, language_of
from deskline_gateway.domain.rules import Owner, Rule

_RETRY_SECONDS: Final = "2"


class Refusal(Problem):
    """A problem that the door itself tells; `words` name its wording, `values` are filled in."""

    def __init__(
        self,
        status: int,
        code: str,
        *,
        words: str | None = None,
        values: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self._words = WORDINGS[words or code]
        self._values = values or {}
        said = self._said("en")
        super().__init__(status, code, said.title, said.detail, headers=headers, **members)

    def response_in(self, language: Language) -> Response:
        """The answer, in this language."""
        said = self._said(language)
        headers = {"Content-Language": language} | dict(self.headers or {})
        return Problem(
            self.status, self.code, said.title, said.detail, headers=headers, **self.members
        ).response()

    def _said(self, language: Language) -> Said:
        said, values = self._words.said(language), self._values
        if language == "ru":
            values = {name: TERMS.get(value, value) for name, value in values.items()}
        return Said(said.title.format_map(values), said.detail.format_map(values))


async def on_refusal(request: Request, error: Exception) -> Response:
    """The exception handler of refusals."""
    if not isinstance(error, Refusal):
        raise error
    return error.response_in(language_of(request.headers.get("accept-language")))


def token_refused() -> Refusal:
    """One answer for a missing, wrong, expired and revoked token: which it was is nobody's business."""
    return Refusal(401, "token_refused", headers={"WWW-Authenticate": 'Bearer realm="deskline"'})


def role_refused(rule: Rule) -> Refusal:
    """The token is good, its roles are not enough."""
    allowed = sorted(rule.roles)
    return Refusal(403, "role_refused", values={"allowed": ", ".join(allowed)}, allowed=allowed)


def rate_limited(seconds: float) -> Refusal:
    """The caller came too often."""
    return Refusal(429, "rate_limited", headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def streams_full(*, everybody: bool) -> Refusal:
    """No further live view: this process has as many as it takes, or this token has."""
    if everybody:
        return Refusal(503, "overloaded", headers={"Retry-After": _RETRY_SECONDS})
    return Refusal(429, "too_many_streams", headers={"Retry-After": _RETRY_SECONDS})


def invalid_request(field: str, message: str) -> Refusal:
    """A part of the request is not as the route takes it; the shape is the chassis'."""
    return Refusal(
        422,
        "invalid_request",
        values={"field": field, "message": message},
        errors=[{"field": field, "message": message}],
    )


def invalid_header(name: str, reason: str) -> Refusal:
    """A header that would be passed on can't be."""
    return Refusal(400, "invalid_header", values={"header": name, "reason": reason}, header=name)


def invalid_query() -> Refusal:
    """A query string that is none."""
    return Refusal(400, "invalid_query")


def body_too_slow() -> Refusal:
    """The caller did not finish."""
    return Refusal(408, "body_too_slow")


def overloaded() -> Refusal:
    """More requests at once than this process takes."""
    return Refusal(503, "overloaded", headers={"Retry-After": "1"})


def tokens_away() -> Refusal:
    """Nobody can be let in, which says nothing about the token."""
    return Refusal(503, "tokens_unavailable", headers={"Retry-After": _RETRY_SECONDS})


def owner_away(owner: Owner) -> Refusal:
    """The owner did nothing, or nothing that could be done twice."""
    return Refusal(503, "owner_unavailable", values={"owner": owner}, headers={"Retry-After": _RETRY_SECONDS})


def outcome_unknown(rule: Rule) -> Refusal:
    """A command went out and no answer came back."""
    return Refusal(
        504,
        "outcome_unknown",
        words="outcome_unknown" if rule.keyed else "put_outcome_unknown",
        values={"owner": rule.owner},
        headers={"Retry-After": _RETRY_SECONDS},
    )


def owner_failed(owner: Owner, status: int, code: str, retry_after: str) -> Refusal:
    """The owner answered with a failure, of which hardly anything but the status is passed on."""
    if status != 503:  # noqa: PLR2004 -- the status itself says it best
        return Refusal(status, "owner_failed", values={"owner": owner})
    headers = {"Retry-After": retry_after if retry_after.isdecimal() else _RETRY_SECONDS}
    if code == "version_pending":
        # Nothing failed: the caller asked for what is not there yet.
        return Refusal(status, code, headers=headers)
    return Refusal(
        status, "owner_unavailable", words="owner_asks_to_wait", values={"owner": owner}, headers=headers
    )


def owner_unreadable(owner: Owner) -> Refusal:
    """The owner said what an owner never should: a redirect, or that it does not believe this gateway."""
    return Refusal(502, "owner_unreadable", values={"owner": owner})
