"""What notify answers over HTTP."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from deskline_events.facts import Language
from deskline_events.notify import NotificationKind
from deskline_notify.domain.telling import State


class Shown(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class Notification(Shown):
    """What was told to whom, and what became of it; never the address or the text."""

    notification_id: UUID
    event_id: UUID
    kind: NotificationKind
    channel: str
    recipient_kind: str
    recipient_id: UUID
    reply_id: UUID | None
    state: State
    reason: str | None
    attempts: int
    fact_at: AwareDatetime
    created_at: AwareDatetime
    next_try_at: Annotated[AwareDatetime | None, Field(description="or the end of the present try's lease")]
    finished_at: AwareDatetime | None


class NotificationPage(Shown):
    """A page of a ticket's notifications, oldest first."""

    items: list[Notification]
    next_cursor: str | None


class TemplateShown(Shown):
    """The template that is used; version 0 is the default."""

    kind: NotificationKind
    language: Language
    version: int
    subject: str
    text: str
    html: str | None
    variables: list[str]
    changed_at: AwareDatetime | None
    changed_by: UUID | None


class TemplateList(Shown):
    """All templates."""

    items: list[TemplateShown]


class Preview(Shown):
    """A mail with made-up values."""

    subject: str
    text: str
    html: str
