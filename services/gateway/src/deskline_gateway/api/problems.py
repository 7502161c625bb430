"""The door's refusals: each with a sentence that says what to do."""

from collections.abc import Iterable
from typing import Final

from deskline_chassis.http import Problem
from deskline_gateway.domain.rules import Owner, Rule

_RETRY_SECONDS: Final = "2"

SENTENCES: Final = {
    "not_found": "There is nothing at this address; the API's description lists the addresses that exist.",
    "method_not_allowed": "This address does not take this method; the Allow header lists those it takes.",
    "body_too_large": "Send at most 1 MiB; an operator's text may have 64 KiB.",
    "internal_error": "This is our failure, not yours; tell the operations team the trace_id.",
    "bad_request": "The request can't be read; check its syntax.",
}
"""What is added to problems of the chassis, which know no details of this door."""


def token_refused() -> Problem:
    """One answer for a missing, wrong, expired and revoked token: which it was is nobody's business."""
    return Problem(
        401,
        "token_refused",
        "A valid API token is needed",
        "Send `Authorization: Bearer <token>` with a token that is known, not expired and not revoked;"
        " an administrator makes one with `deskline-gateway token create`.",
        headers={"WWW-Authenticate": 'Bearer realm="deskline"'},
    )


def role_refused(rule: Rule) -> Problem:
    """The token is good, its roles are not enough."""
    allowed = sorted(rule.roles)
    return Problem(
        403,
        "role_refused",
        "This token's roles do not include this route",
        f"It is for: {', '.join(allowed)}. Ask an administrator for a token with one of these roles.",
        allowed=allowed,
    )


def invalid_request(field: str, message: str) -> Problem:
    """A part of the request is not as the route takes it; the shape is the chassis'."""
    return Problem(
        422,
        "invalid_request",
        "The request is not as this route takes it",
        f"Correct {field}: {message}.",
        errors=[{"field": field, "message": message}],
    )


def invalid_header(name: str, reason: str) -> Problem:
    """A header that would be passed on can't be."""
    return Problem(
        400, "invalid_header", "A header can't be passed on", f"The header {name} {reason}.", header=name
    )


def invalid_query() -> Problem:
    """A query string that is none."""
    return Problem(
        400,
        "invalid_query",
        "The query string can't be passed on",
        "Percent-encode everything in it but letters, digits and the signs that RFC 3986 allows,"
        " and keep it under 8 KiB.",
    )


def body_too_slow() -> Problem:
    """The caller did not finish."""
    return Problem(
        408, "body_too_slow", "The body did not come in time", "Nothing was done; send the request again."
    )


def overloaded() -> Problem:
    """More requests at once than this process takes."""
    return Problem(
        503,
        "overloaded",
        "Too many requests at this moment",
        "Nothing was done; send the request again after the time in Retry-After.",
        headers={"Retry-After": "1"},
    )


def tokens_away() -> Problem:
    """Nobody can be let in, which says nothing about the token."""
    return Problem(
        503,
        "tokens_unavailable",
        "The gateway can't check tokens at this moment",
        "Nothing was done and your token was not judged; send the request again after the time in"
        " Retry-After.",
        headers={"Retry-After": _RETRY_SECONDS},
    )


def owner_away(rule: Rule) -> Problem:
    """The owner did nothing, or nothing that could be done twice."""
    return Problem(
        503,
        "owner_unavailable",
        f"The service {rule.owner} can't answer at this moment",
        "Nothing was changed; send the request again after the time in Retry-After.",
        headers={"Retry-After": _RETRY_SECONDS},
    )


def outcome_unknown(rule: Rule) -> Problem:
    """A command went out and no answer came back."""
    return Problem(
        504,
        "outcome_unknown",
        f"The service {rule.owner} took the command and gave no answer",
        "It may have been carried out. Send it again with the same Idempotency-Key: it is done once.",
        headers={"Retry-After": _RETRY_SECONDS},
    )


def owner_failed(owner: Owner, status: int, retry_after: Iterable[str]) -> Problem:
    """The owner answered with a failure, of which nothing but the status is passed on."""
    unavailable = status == 503  # noqa: PLR2004 -- the status itself says it best
    headers = {"Retry-After": next((text for text in retry_after if text.isdecimal()), _RETRY_SECONDS)}
    return Problem(
        status,
        "owner_unavailable" if unavailable else "owner_failed",
        f"The service {owner} can't answer at this moment" if unavailable else f"The service {owner} failed",
        "Send the request again after the time in Retry-After, a command with the same Idempotency-Key."
        if unavailable
        else "The failure is in its log under the trace_id; a command may be sent again with the same"
        " Idempotency-Key.",
        headers=headers if unavailable else None,
    )


def owner_unreadable(owner: Owner) -> Problem:
    """The owner said what an owner never should: a redirect, or that it does not believe this gateway."""
    return Problem(
        502,
        "owner_unreadable",
        f"The service {owner} gave an answer that can't be passed on",
        "This is a fault of the deployment; tell the operations team the trace_id.",
    )
