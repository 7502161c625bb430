"""Events that notify announces; the stream is the ticket's id."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.facts import Code, Fact, Value

NotificationKind = Literal["acknowledgement", "reply", "offer", "assignment", "warning", "breach", "apology"]


NotificationId = Annotated[UUID, Field(description="one per (event, recipient, channel)")]
AboutEvent = Annotated[UUID, Field(description="`ce_id` of the event that it tells of")]
Kind = Annotated[NotificationKind, Field(description="what it tells")]
By = Annotated[Literal["email"], Field(description="channel by which it is told")]


class Recipient(Value):
    """Whom it was for."""

    kind: Annotated[Literal["contact", "operator"], Field(description="a customer or one of the staff")]
    id: Annotated[UUID, Field(description="id of the contact or the operator")]


class NotificationSent(Fact):
    """The provider accepted the message."""

    TYPE: ClassVar[str] = "deskline.notify.NotificationSent.v1"

    notification_id: NotificationId
    event_id: AboutEvent
    kind: Kind
    channel: By
    recipient: Annotated[Recipient, Field(description="whom it is for")]
    reply_id: Annotated[
        UUID | None, Field(description="the operator's reply that it carries; null: it carries none")
    ] = None
    message_id: Annotated[str, Field(max_length=200, description="our Message-ID, without its brackets")]


class NotificationFailed(Fact):
    """The message was not delivered and won't be tried again."""

    TYPE: ClassVar[str] = "deskline.notify.NotificationFailed.v1"

    notification_id: NotificationId
    event_id: AboutEvent
    kind: Kind
    channel: By
    recipient: Annotated[Recipient, Field(description="whom it was for")]
    reply_id: Annotated[
        UUID | None, Field(description="the operator's reply that it carried; null: it carried none")
    ] = None
    reason: Annotated[Code, Field(description="e.g. smtp_550, no_address, person_erased, gave_up")]
