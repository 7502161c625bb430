"""What is answered over HTTP."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from deskline_events.facts import Channel, Language


class Accepted(BaseModel):
    """A form's message is stored."""

    message_id: UUID


class LineShown(BaseModel):
    """A channel account."""

    line_id: UUID
    name: str
    channel: Channel
    address: str | None
    language: Language
    disabled: bool
    origins: list[str]


class LinePage(BaseModel):
    """Lines, the oldest first."""

    items: list[LineShown]
    next_cursor: str | None


class ContactFound(BaseModel):
    """Who has an address."""

    contact_id: UUID
    company_id: UUID | None
    tier: str | None
    locale: Language
    verified: bool


class Erased(BaseModel):
    """When a contact was erased, now or before."""

    contact_id: UUID
    erased_at: datetime
