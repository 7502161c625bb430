"""Facts that other owners might announce."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from deskline_events.facts import Customer, Line
from deskline_events.intake import ContactRegistered
from deskline_events.routing import OperatorChanged, TeamChanged
from deskline_events.sla import SlaBreached, SlaWarned
from deskline_events.tickets import (
    Actor,
    AutomaticMessageAdded,
    CustomerMessage,
    CustomerReplied,
    OperatorReplied,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)

LINE = Line(
    line_id=UUID(int=0x11E), name="Поддержка", channel="email", language="ru", address="help@brand.example"
)


class Facts:
    """Facts that other owners might announce."""

    @staticmethod
    def message(**given: Any) -> CustomerMessage:
        fields: dict[str, Any] = {
            "source_key": uuid4().hex * 2,
            "received_at": datetime.now(UTC),
            "kind": "human",
            "text": "Не печатает",
        }
        return CustomerMessage(**(fields | given))

    @classmethod
    def opened(cls, contact_id: UUID, **given: Any) -> TicketOpened:
        customer = {"locale": given.pop("locale", "ru"), "verified": given.pop("verified", True)}
        message = {k: given.pop(k) for k in ("kind", "suppress_auto_reply", "message_id") if k in given}
        fields: dict[str, Any] = {
            "number": 1042,
            "line": LINE,
            "contact_id": contact_id,
            "customer": Customer(contact_id=contact_id, **customer),
            "subject": "Принтер",
            "message": cls.message(**message),
            "priority": "medium",
            "reply_token": "t0ken",
        }
        return TicketOpened(**(fields | given))

    @classmethod
    def wrote(cls, contact_id: UUID, **message: Any) -> CustomerReplied | AutomaticMessageAdded:
        model = CustomerReplied if message.get("kind", "human") == "human" else AutomaticMessageAdded
        return model(contact_id=contact_id, message=cls.message(**message))

    @staticmethod
    def replied(contact_id: UUID, operator_id: UUID, text: str = "Готово") -> OperatorReplied:
        return OperatorReplied(
            reply_id=uuid4(), operator_id=operator_id, contact_id=contact_id, text=text, seen_version=1
        )

    @staticmethod
    def registered(contact_id: UUID, address: str | None) -> ContactRegistered:
        return ContactRegistered(contact_id=contact_id, address=address, name="Иван", locale="ru")

    @staticmethod
    def operator(operator_id: UUID, address: str, **given: Any) -> OperatorChanged:
        fields: dict[str, Any] = {
            "operator_id": operator_id,
            "name": "Анна",
            "address": address,
            "language": "en",
            "employed": True,
            "capacity": 5,
        }
        return OperatorChanged(**(fields | given))

    @staticmethod
    def team(team_id: UUID, *leads: UUID) -> TeamChanged:
        return TeamChanged(team_id=team_id, name="Первая", lead_ids=leads)

    @staticmethod
    def routed(team_id: UUID | None) -> TicketRouted:
        return TicketRouted(queue_id=uuid4(), team_id=team_id, actor=Actor(kind="system"), assignment_no=0)

    @staticmethod
    def offered(operator_id: UUID, minutes: float = 30) -> TicketOffered:
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        return TicketOffered(
            offer_id=uuid4(), operator_id=operator_id, queue_id=uuid4(), until=until, assignment_no=0
        )

    @staticmethod
    def accepted(operator_id: UUID, by: UUID | None = None) -> TicketAccepted:
        return TicketAccepted(
            operator_id=operator_id, actor=Actor(kind="operator", id=by or operator_id), assignment_no=1
        )

    @staticmethod
    def unassigned(operator_id: UUID) -> TicketUnassigned:
        return TicketUnassigned(
            operator_id=operator_id, reason="escalated", actor=Actor(kind="system"), assignment_no=2
        )

    @staticmethod
    def warned(*recipients: str) -> SlaWarned:
        return SlaWarned(**Facts._step(recipients), step="soon")

    @staticmethod
    def breached(*recipients: str, forecast_at: datetime | None = None) -> SlaBreached:
        return SlaBreached(**Facts._step(recipients), step="breach", forecast_at=forecast_at)

    @staticmethod
    def _step(recipients: Sequence[str]) -> dict[str, Any]:
        due = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
        return {
            "clock": "first_response",
            "cycle": 1,
            "generation": 1,
            "step_due_at": due,
            "due_at": due,
            "recipients": recipients,
        }
