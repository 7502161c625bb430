"""The shapes of intake: the web form, lines, and what is done about a contact."""

from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from pydantic import AwareDatetime, Field

from deskline_events.facts import Channel, Language
from deskline_gateway.api.contract.shared import (
    BAD_CURSOR,
    TOO_LONG,
    UNKNOWN,
    Answered,
    Asked,
    Nothing,
    PageQuery,
    Shape,
)


class FormMessage(Asked):
    """What a web form sends for its customer."""

    client_key: Annotated[
        str | None, Field(max_length=200, description="instead of the header Idempotency-Key")
    ] = None
    address: Annotated[str, Field(max_length=254, description="where the answer goes, by mail")]
    name: Annotated[str | None, Field(max_length=100)] = None
    subject: Annotated[str, Field(max_length=200)]
    text: Annotated[str, Field(min_length=1, description="at most 64 KiB of UTF-8")]
    website: Annotated[
        str | None, Field(max_length=2000, description="hidden from people; who fills it in is a machine")
    ] = None


class FormAccepted(Answered):
    """The message is stored; a ticket follows."""

    message_id: UUID


class Line(Answered):
    """A channel account that customers write to."""

    line_id: UUID
    name: str
    channel: Channel
    language: Language
    address: str | None
    disabled: bool
    origins: Annotated[list[str], Field(description="web sites whose pages may hold its form")]


class LinesPage(Answered):
    """Lines, the oldest first."""

    items: list[Line]
    next_cursor: str | None


class ContactAddress(Asked):
    """The address that a person writes from."""

    address: Annotated[str, Field(min_length=1, max_length=254)]


class FoundContact(Answered):
    """The contact with this address."""

    contact_id: UUID
    company_id: UUID | None
    tier: str | None
    locale: Language
    verified: bool


class Erased(Answered):
    """The person's data are unreadable from now on."""

    contact_id: UUID
    erased_at: AwareDatetime


SHAPES: Final[Mapping[str, Shape]] = {
    "send_message": Shape(
        "Write to a line, as a web form does",
        FormAccepted,
        body=FormMessage,
        status=202,
        refusals=UNKNOWN | TOO_LONG | {403: "the line's form is not for pages of this origin"},
    ),
    "list_lines": Shape("Lines", LinesPage, query=PageQuery, refusals=BAD_CURSOR),
    "find_contact": Shape("Who has an address", FoundContact, body=ContactAddress, refusals=UNKNOWN),
    "erase_contact": Shape("Erase a person for good", Erased, body=Nothing, refusals=UNKNOWN),
}
