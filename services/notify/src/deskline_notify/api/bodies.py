"""What people send: bodies and headers of requests, checked before anything is done."""

import re
import unicodedata
from typing import Annotated, Final

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deskline_chassis.http import Problem
from deskline_notify.templates.sandbox import MOST_SOURCE, Source

_ETAG: Final = re.compile(r'^"(0|[1-9][0-9]{0,8})"$')


def _is_text(value: str) -> str:
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\t\n\r" for c in value):
        raise ValueError("holds control characters")
    return value


def _is_one_line(value: str) -> str:
    if any(c in "\t\n\r\u2028\u2029" for c in value):
        raise ValueError("is not one line")
    return value


Text = Annotated[str, Field(min_length=1, max_length=MOST_SOURCE), AfterValidator(_is_text)]
Line = Annotated[
    str, Field(min_length=1, max_length=1_000), AfterValidator(_is_text), AfterValidator(_is_one_line)
]


class Body(BaseModel):
    """Unknown fields are refused; a value of another type is not made to fit."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TemplateBody(Body):
    """A template; without `html` the page is made of the text."""

    subject: Line
    text: Text
    html: Text | None = None

    def source(self) -> Source:
        """As it is rendered."""
        return Source(self.subject, self.text, self.html)


class PageQuery(Body):
    """A part of a list."""

    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


def stated_version(request: Request) -> int | None:
    """The version in If-Match, None where there is none; a Problem with 400 where it names no version."""
    given = request.headers.getlist("If-Match")
    if not given:
        return None
    named = _ETAG.match(given[0].strip()) if len(given) == 1 else None
    if named is None:
        raise Problem(
            400, "if_match_malformed", "If-Match names no version", 'Send one ETag as it was given: "7".'
        )
    return int(named.group(1))


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
