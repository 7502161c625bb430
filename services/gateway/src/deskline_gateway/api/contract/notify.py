"""The shapes of notify: what was told about a ticket, and the templates of it."""

from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from pydantic import AwareDatetime, Field

from deskline_events.facts import Language
from deskline_events.notify import NotificationKind, Recipient
from deskline_gateway.api.contract.shared import BAD_CURSOR, UNKNOWN, Answered, Asked, PageQuery, Shape


class Notification(Answered):
    """One message to one recipient."""

    notification_id: UUID
    kind: NotificationKind
    channel: str
    recipient: Recipient
    state: str
    reason: str | None = None
    created_at: AwareDatetime


class NotificationsPage(Answered):
    """Who was told what about a ticket."""

    items: list[Notification]
    next_cursor: str | None


class TemplateBody(Asked):
    """The texts of a message; a variable that does not exist is refused."""

    subject: Annotated[str, Field(min_length=1, max_length=500)]
    body: Annotated[str, Field(min_length=1, description="jinja2, sandboxed")]


class Template(Answered):
    """The texts of a message in a language."""

    kind: NotificationKind
    language: Language
    subject: str
    body: str


class Templates(Answered):
    """All templates."""

    items: list[Template]


class Preview(Answered):
    """The message as its recipient would see it, with made-up values."""

    subject: str
    body: str


SHAPES: Final[Mapping[str, Shape]] = {
    "list_notifications": Shape(
        "Who was told what about a ticket", NotificationsPage, query=PageQuery, refusals=UNKNOWN | BAD_CURSOR
    ),
    "list_templates": Shape("Templates", Templates),
    "read_template": Shape("A template", Template, versioned=True, refusals=UNKNOWN),
    "put_template": Shape("Change a template", Template, body=TemplateBody, versioned=True, refusals=UNKNOWN),
    "preview_template": Shape("See a template filled in", Preview, body=TemplateBody, refusals=UNKNOWN),
}
