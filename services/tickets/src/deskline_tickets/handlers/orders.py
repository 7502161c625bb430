"""The orders that people give, one class for a command: what it asks of the ticket, what it is answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from deskline_events.facts import Priority
from deskline_events.tickets import Stage
from deskline_tickets.domain.commands import (
    AcceptOffer,
    AddNote,
    ChangePriority,
    ChangeQueue,
    ChangeStage,
    DeclineOffer,
    EscalateTicket,
    HandOver,
    ReplyToCustomer,
    UnassignTicket,
)
from deskline_tickets.domain.ticket import Ticket
from deskline_tickets.handlers.commands import CREATED, DONE, Moment, as_members
from deskline_tickets.ports import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An operator's words to the customer, and where the ticket is to go with them."""

    STATUS: ClassVar[int] = CREATED

    reply_id: UUID
    text: str
    seen_version: int
    then_stage: Stage | None = None
    closing_reason: str | None = None
    until: datetime | None = None

    def command(self, moment: Moment, _desk: Desk) -> ReplyToCustomer:
        return ReplyToCustomer(
            actor=moment.actor,
            roles=moment.roles,
            reply_id=self.reply_id,
            text=self.text,
            seen_version=self.seen_version,
            now=moment.now,
            then_stage=self.then_stage,
            closing_reason=self.closing_reason,
            until=self.until,
            keeps_assignee=moment.keeps_assignee,
            erased=moment.erased,
        )

    def answer(self, desk: Desk, before: Ticket, after: Ticket) -> dict[str, Any]:
        arrived = desk.arrived(before.id, self.seen_version, before.version)
        return {
            "reply_id": str(self.reply_id),
            **_named(after, "version", "stage"),
            "arrived_since": [
                {"version": one.version, "type": one.type, "at": one.at.isoformat()} for one in arrived
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An operator's words to colleagues."""

    STATUS: ClassVar[int] = CREATED

    note_id: UUID
    text: str
    mentions: tuple[UUID, ...] = ()

    def command(self, moment: Moment, _desk: Desk) -> AddNote:
        return AddNote(
            actor=moment.actor,
            roles=moment.roles,
            note_id=self.note_id,
            text=self.text,
            mentions=self.mentions,
            erased=moment.erased,
        )

    def answer(self, _desk: Desk, _before: Ticket, after: Ticket) -> dict[str, Any]:
        return {"note_id": str(self.note_id), "version": after.version}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMove:
    """Where a ticket is to go from the version that was seen."""

    STATUS: ClassVar[int] = DONE

    stage: Stage
    expected_version: int
    closing_reason: str | None = None
    until: datetime | None = None

    def command(self, moment: Moment, _desk: Desk) -> ChangeStage:
        return ChangeStage(
            actor=moment.actor,
            roles=moment.roles,
            stage=self.stage,
            now=moment.now,
            expected_version=self.expected_version,
            closing_reason=self.closing_reason,
            until=self.until,
            keeps_assignee=moment.keeps_assignee,
        )

    def answer(self, _desk: Desk, _before: Ticket, after: Ticket) -> dict[str, Any]:
        return _named(after, "version", "stage")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPriority:
    """How urgent the ticket is to be."""

    STATUS: ClassVar[int] = DONE

    priority: Priority
    expected_version: int

    def command(self, moment: Moment, _desk: Desk) -> ChangePriority:
        return ChangePriority(
            actor=moment.actor,
            roles=moment.roles,
            priority=self.priority,
            expected_version=self.expected_version,
        )

    def answer(self, _desk: Desk, _before: Ticket, after: Ticket) -> dict[str, Any]:
        return _named(after, "version", "priority")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQueue:
    """Where the ticket is to stand."""

    STATUS: ClassVar[int] = DONE

    queue_id: UUID
    expected_version: int

    def command(self, moment: Moment, desk: Desk) -> ChangeQueue:
        queue = desk.queue(self.queue_id)
        return ChangeQueue(
            actor=moment.actor,
            roles=moment.roles,
            queue_id=self.queue_id,
            team_id=None if queue is None else queue.team_id,
            known=queue is not None and queue.active,
            expected_version=self.expected_version,
        )

    def answer(self, _desk: Desk, _before: Ticket, after: Ticket) -> dict[str, Any]:
        return _named(after, "version", "queue_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """An operator takes what they were offered."""

    STATUS: ClassVar[int] = DONE

    offer_id: UUID

    def command(self, moment: Moment, _desk: Desk) -> AcceptOffer:
        return AcceptOffer(actor=moment.actor, roles=moment.roles, offer_id=self.offer_id)

    def answer(self, _desk: Desk, _before: Ticket, after: Ticket) -> dict[str, Any]:
        return _named(after, "version", "stage", "assignee_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """An operator doesn't take what they were offered."""

    STATUS: ClassVar[int] = DONE

    offer_id: UUID
    reason: str | None = None

    def command(self, moment: Moment, _desk: Desk) -> DeclineOffer:
        return DeclineOffer(
            actor=moment.actor, roles=moment.roles, offer_id=self.offer_id, reason=self.reason
        )

    def answer(self, _desk: Desk, _before: Ticket, after: Ticket) -> dict[str, Any]:
        return _named(after, "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unassignment:
    """The assignee is to have the ticket no longer."""

    STATUS: ClassVar[int] = DONE

    expected_version: int

    def command(self, moment: Moment, _desk: Desk) -> UnassignTicket:
        return UnassignTicket(
            actor=moment.actor,
            roles=moment.roles,
            leads=moment.leads,
            expected_version=self.expected_version,
        )

    def answer(self, _desk: Desk, _before: Ticket, after: Ticket) -> dict[str, Any]:
        return _named(after, "version", "stage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """The level that is to work on the ticket, and what it is told."""

    STATUS: ClassVar[int] = DONE

    level: int
    expected_version: int
    hand_over: HandOver

    def command(self, moment: Moment, _desk: Desk) -> EscalateTicket:
        return EscalateTicket(
            actor=moment.actor,
            roles=moment.roles,
            level=self.level,
            expected_version=self.expected_version,
            hand_over=self.hand_over,
            erased=moment.erased,
        )

    def answer(self, _desk: Desk, _before: Ticket, after: Ticket) -> dict[str, Any]:
        return _named(after, "version", "level", "priority")


def _named(ticket: Ticket, *names: str) -> dict[str, Any]:
    members = as_members(ticket)
    return {name: members[name] for name in names}
