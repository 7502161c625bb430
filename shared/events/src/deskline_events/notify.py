"""Events that notify announces; the stream is the ticket's id."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Code, Fact, Value

NotificationKind = Literal["acknowledgement", "reply", "offer", "assignment", "warning", "breach", "apology"]


class Recipient(Value):
    """Whom it was for."""

    kind: Literal["contact", "operator"]
    id: UUID


class NotificationSent(Fact):
    """The provider accepted the message."""

    TYPE: ClassVar[str] = "deskline.notify.NotificationSent.v1"

    notification_id: Annotated[UUID, Field(description="one per (event, recipient, channel)")]
    event_id: Annotated[UUID, Field(description="`ce_id` of the event that it tells of")]
    kind: NotificationKind
    channel: Literal["email"]
    recipient: Recipient
    reply_id: Annotated[UUID | None, Field(description="of the operator's reply that it carries")] = None
    message_id: Annotated[str, Field(max_length=200, description="our Message-ID, without its brackets")]


class NotificationFailed(Fact):
    """The message was not delivered and won't be tried again."""

    TYPE: ClassVar[str] = "deskline.notify.NotificationFailed.v1"

    notification_id: UUID
    event_id: UUID
    kind: NotificationKind
    channel: Literal["email"]
    recipient: Recipient
    reply_id: UUID | None = None
    reason: Annotated[Code, Field(description="e.g. smtp_550, no_address, person_erased, gave_up")]
