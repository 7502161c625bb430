"""What people send: bodies and headers of requests, checked before anything is done."""

import re
from typing import Annotated, Final
from uuid import UUID

from fastapi import Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from deskline_chassis.http import Problem
from deskline_events.facts import Code, Level, Priority
from deskline_events.tickets import Stage
from deskline_tickets.api.refusals import speaks_russian

MOST_MENTIONS: Final = 50
_KEY: Final = re.compile(r"^[\x21-\x7e]{1,200}$")
_ETAG: Final = re.compile(r'^"([1-9][0-9]{0,17})"$')

Version = Annotated[int, Field(ge=1, le=2**62)]


def _is_text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair") from None
    return value


# How long it may be is the domain's business, so that a longer one is told apart from a wrong one.
Text = Annotated[str, AfterValidator(_is_text)]


class Body(BaseModel):
    """Unknown fields are refused; a value of another type is not made to fit."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ReplyBody(Body):
    text: Text
    seen_version: Version
    then_stage: Stage | None = None
    closing_reason: Code | None = None
    until: AwareDatetime | None = None


class NoteBody(Body):
    text: Text
    mentions: Annotated[list[UUID], Field(max_length=MOST_MENTIONS)] = []


class StageBody(Body):
    stage: Stage
    closing_reason: Code | None = None
    until: AwareDatetime | None = None


class PriorityBody(Body):
    priority: Priority


class OfferBody(Body):
    offer_id: UUID


class DeclineBody(OfferBody):
    reason: Code | None = None


class EmptyBody(Body):
    pass


class QueueBody(Body):
    queue_id: UUID


class EscalateBody(Body):
    level: Annotated[Level, Field(strict=True)]
    note: Text | None = None
    tried: Text | None = None
    reproduce: Text | None = None
    affected: Text | None = None


class HistoryQuery(Body):
    version: Version | None = None
    at: AwareDatetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the whole history is asked for."""
        return self.version is None and self.at is None

    @model_validator(mode="after")
    def _not_together(self) -> "HistoryQuery":
        if self.version is not None and self.at is not None:
            raise ValueError("give version or at, not both")
        return self


class PageQuery(Body):
    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


def idempotency_key(request: Request) -> str:
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


def expected_version(request: Request) -> int:
    """The version in If-Match; a Problem with 428 where there is none, 400 where it names no version."""
    given = request.headers.getlist("If-Match")
    if not given:
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
    named = _ETAG.match(given[0].strip()) if len(given) == 1 else None
    if named is not None:
        return int(named.group(1))
    raise _problem(
        request,
        400,
        "if_match_malformed",
        ("If-Match names no version", "If-Match не содержит версии"),
        ('Send one ETag as it was given: "7".', 'Передайте один ETag в том виде, как он получен: "7".'),
    )


def no_query(request: Request) -> None:
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
