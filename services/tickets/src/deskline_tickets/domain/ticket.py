"""The Ticket as its events made it: what decisions need, never what anybody wrote."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, overload
from uuid import UUID

from deskline_events.facts import Fact, Priority
from deskline_events.tickets import Stage
from deskline_tickets.domain.events import (
    AutomaticMessageAdded,
    CustomerReplied,
    DeliveryChanged,
    Escalated,
    NoteAdded,
    OfferDeclined,
    OfferEnded,
    OperatorReplied,
    PriorityChanged,
    PriorityRaised,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)

Speaker = Literal["customer", "operator"]


@dataclass(frozen=True, slots=True)
class Offer:
    """The open offer; `until` is when routing will withdraw it, and routing's business."""

    offer_id: UUID
    operator_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a reply came on its way to the customer."""

    notification_id: UUID
    state: Literal["sent", "failed"]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket at a version; times are commits by the database's clock.

    `seen` holds what was already taken in (source keys, ids of replies, notes and decisions, keys of
    steps), so that a repeat is recognised; `last_customer_version` is the version of the customer's last
    human message; `resolutions` is when each cycle was resolved, `holders` who had the ticket when it left
    a level, `accepted_offer_id` the offer by which the assignee has it.
    """

    id: UUID
    number: int
    line_id: UUID
    contact_id: UUID
    participants: frozenset[UUID]
    version: int
    stage: Stage
    priority: Priority
    level: int
    cycle: int
    assignment_no: int
    reply_token: str
    opened_at: datetime
    queue_id: UUID | None = None
    team_id: UUID | None = None
    assignee_id: UUID | None = None
    offer: Offer | None = None
    accepted_offer_id: UUID | None = None
    holders: Mapping[int, UUID] = field(default_factory=dict)
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    until: datetime | None = None
    closing_reason: str | None = None
    first_human_reply_at: datetime | None = None
    resolutions: Mapping[int, datetime] = field(default_factory=dict)
    last_speaker: Speaker | None = None
    last_customer_version: int = 0
    deliveries: Mapping[UUID, Delivery] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored event in its place; `version` is dense from 1, `time` the commit."""

    ticket_id: UUID
    version: int
    time: datetime
    event: Fact


def step_mark(step_key: str) -> str:
    """Under what `seen` knows a step of a service level."""
    return f"step/{step_key}"


def decline_mark(offer_id: UUID, operator_id: UUID) -> str:
    """Under what `seen` knows that an operator declined an offer."""
    return f"declined/{offer_id}/{operator_id}"


@overload
def evolve(ticket: Ticket, event: Fact, *, ticket_id: UUID, version: int, time: datetime) -> Ticket: ...
@overload
def evolve(ticket: None, event: TicketOpened, *, ticket_id: UUID, version: int, time: datetime) -> Ticket: ...
@overload
def evolve(
    ticket: Ticket | None, event: Fact, *, ticket_id: UUID, version: int, time: datetime
) -> Ticket | None: ...
def evolve(
    ticket: Ticket | None, event: Fact, *, ticket_id: UUID, version: int, time: datetime
) -> Ticket | None:
    """The ticket after a stored event; never fails, and what it doesn't know only moves the version.

    None is a ticket that isn't opened: only TicketOpened makes one.
    """
    if ticket is None:
        return _opened(event, ticket_id, version, time) if isinstance(event, TicketOpened) else None
    ticket = replace(ticket, version=version, seen=ticket.seen | _marks(event))
    match event:
        case CustomerReplied():
            ticket = replace(ticket, last_speaker="customer", last_customer_version=version)
        case OperatorReplied():
            first = ticket.first_human_reply_at or time
            ticket = replace(ticket, last_speaker="operator", first_human_reply_at=first)
        case DeliveryChanged(reply_id=reply_id):
            delivery = Delivery(event.notification_id, event.state, event.reason)
            ticket = replace(ticket, deliveries={**ticket.deliveries, reply_id: delivery})
        case StageChanged():
            ticket = _moved(ticket, event, time)
        case PriorityChanged(after=priority) | PriorityRaised(after=priority):
            ticket = replace(ticket, priority=priority)
        case _:
            ticket = _assigned(ticket, event)
    return ticket


def replay(recorded: Iterable[Recorded]) -> Ticket | None:
    """The ticket that a stream, or its beginning, makes; None where nothing was opened."""
    ticket: Ticket | None = None
    for one in recorded:
        ticket = evolve(ticket, one.event, ticket_id=one.ticket_id, version=one.version, time=one.time)
    return ticket


def _opened(event: TicketOpened, ticket_id: UUID, version: int, time: datetime) -> Ticket:
    human = event.message.kind == "human"
    return Ticket(
        id=ticket_id,
        number=event.number,
        line_id=event.line.line_id,
        contact_id=event.contact_id,
        participants=frozenset({event.contact_id}),
        version=version,
        stage="new",
        priority=event.priority,
        level=event.level,
        cycle=1,
        assignment_no=0,
        reply_token=event.reply_token,
        opened_at=time,
        last_speaker="customer" if human else None,
        last_customer_version=version if human else 0,
        seen=frozenset({event.message.source_key}),
    )


def _marks(event: Fact) -> set[str]:
    """What of an event tells a repeat of its command."""
    marks: set[str] = set()
    match event:
        case CustomerReplied(message=message) | AutomaticMessageAdded(message=message):
            marks.add(message.source_key)
        case OperatorReplied(reply_id=given) | NoteAdded(note_id=given) | TicketOffered(offer_id=given):
            marks.add(str(given))
        case OfferDeclined(offer_id=offer_id, operator_id=operator_id):
            marks.add(decline_mark(offer_id, operator_id))
    decision_id = getattr(event, "decision_id", None)
    step_key = getattr(event, "step_key", None)
    if decision_id is not None:
        marks.add(str(decision_id))
    if step_key is not None:
        marks.add(step_mark(step_key))
    return marks


def _assigned(ticket: Ticket, event: Fact) -> Ticket:
    match event:
        case TicketRouted(queue_id=queue_id, team_id=team_id, assignment_no=no):
            ticket = replace(ticket, queue_id=queue_id, team_id=team_id, assignment_no=no)
        case TicketOffered(offer_id=offer_id, operator_id=operator_id, until=until):
            ticket = replace(ticket, offer=Offer(offer_id, operator_id, until))
        case OfferDeclined() | OfferEnded():
            ticket = replace(ticket, offer=None)
        case TicketAccepted(operator_id=operator_id, offer_id=accepted, assignment_no=no):
            ticket = replace(
                ticket, assignee_id=operator_id, offer=None, accepted_offer_id=accepted, assignment_no=no
            )
        case TicketUnassigned(operator_id=operator_id, reason=reason, assignment_no=no):
            left = {ticket.level: operator_id} if reason == "escalated" else {}
            ticket = replace(
                ticket,
                assignee_id=None,
                accepted_offer_id=None,
                assignment_no=no,
                holders={**ticket.holders, **left},
            )
        case Escalated(after=level, assignment_no=no):
            ticket = replace(ticket, level=level, assignment_no=no)
    return ticket


def _moved(ticket: Ticket, event: StageChanged, time: datetime) -> Ticket:
    over = event.after in {"resolved", "closed"}
    resolved = {event.cycle: time} if event.after == "resolved" else {}
    return replace(
        ticket,
        stage=event.after,
        cycle=event.cycle,
        assignment_no=event.assignment_no,
        resolved_at=time if event.after == "resolved" else ticket.resolved_at if over else None,
        resolutions={**ticket.resolutions, **resolved},
        closed_at=time if event.after == "closed" else None,
        closing_reason=(event.closing_reason or ticket.closing_reason) if over else None,
        until=event.until,
    )
