"""What notify's events change: what became of each notification."""

from typing import Final

from deskline_analytics.domain.rows import NotificationRow
from deskline_analytics.domain.work import Handlers, Work, utc
from deskline_events.envelope import Envelope
from deskline_events.notify import NotificationFailed, NotificationSent


def on_notification_sent(work: Work, envelope: Envelope, fact: NotificationSent) -> None:
    part, at = work.row(envelope.subject, "notify").notify, utc(envelope.time)
    part.notifications_sent += 1
    part.last_notified_at = at
    if fact.kind == "acknowledgement":
        part.acknowledged_at = part.acknowledged_at or at
    _keep(work, envelope, fact)


def on_notification_failed(work: Work, envelope: Envelope, fact: NotificationFailed) -> None:
    work.row(envelope.subject, "notify").notify.notifications_failed += 1
    _keep(work, envelope, fact)


def _keep(work: Work, envelope: Envelope, fact: NotificationSent | NotificationFailed) -> None:
    reason = fact.reason if isinstance(fact, NotificationFailed) else None
    work.changes.notifications[fact.notification_id] = NotificationRow(
        notification_id=fact.notification_id,
        ticket_id=envelope.subject,
        event_id=fact.event_id,
        kind=fact.kind,
        channel=fact.channel,
        recipient_kind=fact.recipient.kind,
        recipient_id=fact.recipient.id,
        reply_id=fact.reply_id,
        state="sent" if reason is None else "failed",
        reason=reason,
        told_at=utc(envelope.time),
    )


HANDLERS: Final[Handlers] = {
    NotificationSent: on_notification_sent,
    NotificationFailed: on_notification_failed,
}
