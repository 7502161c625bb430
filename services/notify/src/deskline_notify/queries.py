"""Row → answer: what was told of a ticket, and what is not finished."""

from dataclasses import fields
from typing import Final
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_notify.answers import Notification
from deskline_notify.domain.tickets import Ticket

_TICKET: Final = ", ".join(one.name for one in fields(Ticket))
_SHOWN: Final = (
    "notification_id", "event_id", "kind", "channel", "recipient_kind", "recipient_id", "reply_id", "state",
    "reason", "attempts", "fact_at", "created_at", "next_try_at", "finished_at",
)  # fmt: skip


def ticket_of(connection: Conn, ticket_id: UUID) -> Ticket | None:
    """The ticket, where it is known here."""
    row = connection.execute(f"SELECT {_TICKET} FROM tickets WHERE ticket_id = %s", (ticket_id,)).fetchone()
    return None if row is None else Ticket(*row)


def notifications_of(
    connection: Conn, ticket_id: UUID, after: int, limit: int
) -> tuple[list[Notification], int | None]:
    """A page in the order of their intents, and the place where the next one begins after."""
    rows = connection.execute(
        "SELECT place, notification_id, event_id, kind, channel, recipient_kind, recipient_id, reply_id,"
        " state, reason, attempts, fact_at, created_at, CASE state WHEN 'pending' THEN due_at END,"
        " finished_at FROM notifications WHERE ticket_id = %s AND place > %s ORDER BY place LIMIT %s",
        (ticket_id, after, limit + 1),
    ).fetchall()
    shown = [Notification(**dict(zip(_SHOWN, row[1:], strict=True))) for row in rows[:limit]]
    return shown, rows[limit - 1][0] if len(rows) > limit else None
