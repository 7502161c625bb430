"""What the shapes of all owners share; they describe what passes the door, which validates none of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from deskline_events.facts import Code

Version = Annotated[int, Field(ge=1, description="the ticket's version: how many events it has")]
Text = Annotated[str, Field(min_length=1, description="at most 64 KiB of UTF-8")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Cursor = Annotated[str | None, Field(description="`next_cursor` of the page before")]
Limit = Annotated[int, Field(ge=1, le=100)]
Reason = Annotated[Code | None, Field(description="a word that people configure")]


class Asked(BaseModel):
    """What an owner takes: an unknown field is refused with 422."""

    model_config = ConfigDict(extra="forbid")


class Answered(BaseModel):
    """What an owner gives: clients ignore fields that they don't know."""

    model_config = ConfigDict(extra="allow")


class PageQuery(Asked):
    """Where a page begins, and how long it is."""

    cursor: Cursor = None
    limit: Limit = 50


class Nothing(Asked):
    """An empty object."""


class Problem(Answered):
    """RFC 9457: what went wrong and what to do."""

    type: Annotated[str, Field(description="urn:deskline:problem:<code>")]
    title: str
    status: int
    code: Annotated[str, Field(description="for programs; stable")]
    detail: str | None = None
    trace_id: Annotated[str, Field(description="also in X-Request-Id; the services' logs have it")]


class News(BaseModel):
    """The data of one server-sent event: that something happened, and nothing of what it was."""

    model_config = ConfigDict(extra="forbid")

    ticket: Annotated[UUID | None, Field(description="null in events about a queue's stream itself")]
    version: Annotated[
        int | None,
        Field(description="the ticket's last known version; another owner's event does not raise it"),
    ]
    type: Annotated[str, Field(description="the event's name as in a timeline, or ready, resync, overflow")]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a route takes and gives, beside its rule; `versioned` answers carry an ETag."""

    summary: str
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    versioned: bool = False
    refusals: Mapping[int, str] = field(default_factory=dict)
    told: str | None = None


UNKNOWN: Final = {404: "there is no such thing, or it is not within the token's scope"}
BAD_CURSOR: Final = {400: "a header, the query string or the cursor can't be used"}
TOO_LONG: Final = {413: "the body or its text is too long"}
