"""What requests have in common: bodies, pages, versions and keys in headers, the caller's language.

Dependencies only compute, and are coroutines: FastAPI runs plain functions in a thread, each in its turn.
"""

import hashlib
import re
from typing import Annotated, Final
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, Field

from deskline_chassis.bodies import Body
from deskline_chassis.http import Problem
from deskline_chassis.idempotency import KeyedCommand

_KEY: Final = re.compile(r"^[\x21-\x7e]{1,200}$")
_ETAG: Final = re.compile(r'^"(0|[1-9][0-9]{0,17})"$')


class PageQuery(Body):
    """One page of a list."""

    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


async def no_query(request: Request) -> None:
    """Refuses parameters on routes that take none."""
    if request.query_params:
        raise Problem(
            422,
            "invalid_request",
            "The request is not as this route takes it",
            errors=[
                {"field": f"query.{name[:100]}", "message": "Extra inputs are not permitted"}
                for name in list(request.query_params)[:100]
            ],
        )


def etag(version: int) -> str:
    """A version as a strong validator."""
    return f'"{version}"'


async def stated_version(request: Request) -> int | None:
    """The version in If-Match, None where there is none; a Problem with 400 where it names no version."""
    return _stated(request, least=1)


async def stated_version_or_zero(request: Request) -> int | None:
    """As stated_version, for what has a version 0: it is there before anybody wrote it."""
    return _stated(request, least=0)


async def required_version(request: Request) -> int:
    """The version in If-Match; a Problem with 428 where there is none, 400 where it names no version."""
    version = _stated(request, least=1)
    if version is None:
        raise _problem(
            request,
            428,
            "if_match_required",
            ("Say on which version this rests", "Укажите версию обращения"),
            (
                "Send If-Match with the ETag of the ticket that you read.",
                "Передайте If-Match с ETag прочитанного обращения.",
            ),
        )
    return version


async def idempotency_key(request: Request) -> str:
    """The key of a command; a Problem with 400 where there is none to use."""
    given = request.headers.getlist("Idempotency-Key")
    if len(given) == 1 and _KEY.match(given[0]):
        return given[0]
    raise _problem(
        request,
        400,
        "idempotency_key_required",
        ("Give the command an Idempotency-Key", "Нужен заголовок Idempotency-Key"),
        (
            "Send one Idempotency-Key header of 1 to 200 visible ASCII characters, new for each command.",
            "Передайте один заголовок Idempotency-Key из 1–200 печатных символов ASCII, новый для команды.",
        ),
    )


def keyed_command(request: Request, actor_id: UUID, key: str, body: BaseModel) -> KeyedCommand:
    """A command as it will be known when it comes again: of the body, what the route understood of it."""
    action = f"{request.method} {request.url.path}"
    return KeyedCommand(actor_id, key, action, hashlib.sha256(body.model_dump_json().encode()).digest())


def speaks_russian(accept_language: str | None) -> bool:
    """Whether Russian is preferred to English (RFC 9110, 12.5.4)."""
    weights = {"ru": 0.0, "en": 0.0}
    for part in (accept_language or "")[:200].split(","):
        tag, _, rest = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], _weight(rest))
    return weights["ru"] > weights["en"]


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _stated(request: Request, least: int) -> int | None:
    given = request.headers.getlist("If-Match")
    if not given:
        return None
    named = _ETAG.match(given[0].strip()) if len(given) == 1 else None
    if named is not None and int(named.group(1)) >= least:
        return int(named.group(1))
    raise _problem(
        request,
        400,
        "if_match_malformed",
        ("If-Match names no version", "If-Match не содержит версии"),
        ('Send one ETag as it was given: "7".', 'Передайте один ETag в том виде, как он получен: "7".'),
    )


def _problem(
    request: Request, status: int, code: str, titles: tuple[str, str], details: tuple[str, str]
) -> Problem:
    russian = speaks_russian(request.headers.get("Accept-Language"))
    return Problem(
        status,
        code,
        titles[russian],
        details[russian],
        headers={"Content-Language": "ru" if russian else "en"},
    )
