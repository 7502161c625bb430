"""The shapes of notify: what was told about a ticket, and the templates of it."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from deskline_events.facts import Language
from deskline_events.notify import NotificationKind
from deskline_gateway.api.contract.shared import BAD_CURSOR, UNKNOWN, Answered, Asked, PageQuery, Shape


class Notification(Answered):
    """What was told to whom, and what became of it; never the address or the text."""

    notification_id: UUID
    event_id: UUID
    kind: NotificationKind
    channel: str
    recipient_kind: str
    recipient_id: UUID
    reply_id: UUID | None
    state: Literal["waiting", "pending", "sent", "failed", "stale", "capped", "suppressed"]
    reason: str | None
    attempts: int
    fact_at: AwareDatetime
    created_at: AwareDatetime
    next_try_at: AwareDatetime | None
    finished_at: AwareDatetime | None


class NotificationsPage(Answered):
    """A page of a ticket's notifications, the oldest first."""

    items: list[Notification]
    next_cursor: str | None


class TemplateBody(Asked):
    """A template, in sandboxed jinja2; a variable that does not exist is refused."""

    subject: Annotated[str, Field(min_length=1, max_length=1000, description="one line")]
    text: Annotated[str, Field(min_length=1)]
    html: Annotated[str | None, Field(description="without it the page is made of the text")] = None


class Template(Answered):
    """The template that is used."""

    kind: NotificationKind
    language: Language
    version: Annotated[int, Field(ge=0, description="0: the default")]
    subject: str
    text: str
    html: str | None
    variables: Annotated[list[str], Field(description="what it may name")]
    changed_at: AwareDatetime | None
    changed_by: UUID | None


class Templates(Answered):
    """All templates."""

    items: list[Template]


class Preview(Answered):
    """The mail as its recipient would see it, with made-up values."""

    subject: str
    text: str
    html: str


SHAPES: Final[Mapping[str, Shape]] = {
    "list_notifications": Shape(
        "Who was told what about a ticket", NotificationsPage, query=PageQuery, refusals=UNKNOWN | BAD_CURSOR
    ),
    "list_templates": Shape("Templates", Templates),
    "read_template": Shape("A template", Template, versioned=True, refusals=UNKNOWN),
    "put_template": Shape("Change a template", Template, body=TemplateBody, versioned=True, refusals=UNKNOWN),
    "preview_template": Shape("See a template filled in", Preview, body=TemplateBody, refusals=UNKNOWN),
}
