"""What routing, sla and notify announce, as tests need it: with what matters given and the rest made up."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from deskline_events.conditions import Circumstances, Conditions
from deskline_events.notify import NotificationFailed, NotificationSent, Recipient
from deskline_events.routing import (
    AssignmentWithdrawn,
    OfferMade,
    OfferWithdrawn,
    OperatorChanged,
    QueueChanged,
    TeamChanged,
    TicketQueued,
)
from deskline_events.sla import SlaBreached

UNTIL = datetime.now(UTC) + timedelta(minutes=30)


def operator_changed(operator_id: UUID, *teams: UUID, employed: bool = True) -> OperatorChanged:
    return OperatorChanged(
        operator_id=operator_id,
        name="Ольга",
        address="olga@desk.example",
        language="ru",
        employed=employed,
        team_ids=teams,
        capacity=5,
    )


def team_changed(team_id: UUID, *leads: UUID, active: bool = True) -> TeamChanged:
    return TeamChanged(team_id=team_id, name="Первая линия", lead_ids=leads, active=active)


def queue_changed(queue_id: UUID, team_id: UUID | None = None, *, active: bool = True) -> QueueChanged:
    return QueueChanged(
        queue_id=queue_id, name="Общая", team_id=team_id, order=1, conditions=Conditions(), active=active
    )


def ticket_queued(queue_id: UUID, team_id: UUID | None = None, *, no: int = 0) -> TicketQueued:
    circumstances = Circumstances(line_id=uuid4(), channel="email", language="ru", level=1, priority="medium")
    return TicketQueued(
        queue_id=queue_id, team_id=team_id, assignment_no=no, circumstances=circumstances, considered=()
    )


def offer_made(
    queue_id: UUID, operator_id: UUID, *, no: int = 0, attempt: int = 1, offer_id: UUID | None = None
) -> OfferMade:
    return OfferMade(
        offer_id=offer_id or uuid4(),
        queue_id=queue_id,
        operator_id=operator_id,
        assignment_no=no,
        attempt=attempt,
        until=UNTIL,
        strategy="longest_idle",
        waiting_since=UNTIL,
        candidates=(),
    )


def offer_withdrawn(made: OfferMade, **more: Any) -> OfferWithdrawn:
    fields = {"offer_id": made.offer_id, "operator_id": made.operator_id, "reason": "timed_out"}
    return OfferWithdrawn(**(fields | {"assignment_no": made.assignment_no} | more))


def assignment_withdrawn(operator_id: UUID, no: int) -> AssignmentWithdrawn:
    return AssignmentWithdrawn(operator_id=operator_id, assignment_no=no, reason="operator_left")


def sla_breached(due_at: datetime, **more: Any) -> SlaBreached:
    fields: dict[str, Any] = {"clock": "first_response", "cycle": 1, "generation": 1, "step": "breach"}
    return SlaBreached(
        **(fields | {"step_due_at": due_at, "due_at": due_at, "actions": ("escalate",)} | more)
    )


def notification(reply_id: UUID | None, reason: str | None = None) -> NotificationSent | NotificationFailed:
    told: dict[str, Any] = {
        "notification_id": uuid4(),
        "event_id": uuid4(),
        "kind": "reply",
        "channel": "email",
        "recipient": Recipient(kind="contact", id=uuid4()),
        "reply_id": reply_id,
    }
    if reason is None:
        return NotificationSent(**told, message_id="a.b@desk.example")
    return NotificationFailed(**told, reason=reason)
