"""A ticket as routing knows it, and how it changes by what tickets says; applying can never be refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from deskline_events.conditions import Circumstances
from deskline_events.facts import Fact, Level, Priority
from deskline_events.tickets import (
    DecisionRefused,
    Escalated,
    OfferDeclined,
    OfferEnded,
    PriorityChanged,
    Stage,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)
from deskline_routing.domain.choosing import Refusal

ENDED: Final = frozenset({"resolved", "closed", "merged", "spam", "abandoned"})
"""Stages in which nobody has work with a ticket."""

MOST_REFUSALS: Final = 3
"""Refused so often under one number, with nothing changed, a decision waits for the sweep."""

TeamFor = Callable[[UUID | None, UUID], UUID | None]
"""(queue, operator) → the team by which the operator holds a ticket of that queue."""


class UnknownTicketError(Exception):
    """A fact about a ticket whose opening was never seen: the stream has a hole before it."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class Offer:
    """The offer that is open, as far as routing knows; `seen_at` is when tickets made it one."""

    offer_id: UUID
    operator_id: UUID
    assignment_no: int
    made_at: datetime
    until: datetime
    team_id: UUID | None = None
    seen_at: datetime | None = None
    withdrawn: bool = False
    decision_id: UUID | None = None

    @property
    def was_seen_in_time(self) -> bool:
        """Whether the operator had at least half of the time; less is no timeout of theirs."""
        return self.seen_at is not None and self.seen_at <= self.made_at + (self.until - self.made_at) / 2


@dataclass(frozen=True, slots=True)
class Ticket:
    """What decisions need; `waiting` means that it is known that nobody can be offered it.

    `refused_by`, `attempt` and the like belong to one `assignment_no`. `asked_no` and `asked_id` name the
    TicketQueued that tickets has not answered, `return_no` the AssignmentWithdrawn.
    """

    ticket_id: UUID
    correlation_id: UUID
    waiting_since: datetime
    circumstances: Circumstances
    stage: Stage = "new"
    assignment_no: int = 0
    queue_id: UUID | None = None
    requeue: bool = False
    asked_no: int | None = None
    asked_id: UUID | None = None
    assignee_id: UUID | None = None
    assignee_team_id: UUID | None = None
    return_no: int | None = None
    offer: Offer | None = None
    preferred_id: UUID | None = None
    queue_attempt: int = 0
    attempt: int = 0
    refusals: int = 0
    refused_by: Mapping[UUID, Refusal] = field(default_factory=dict)
    waiting: bool = False

    @property
    def live(self) -> bool:
        """Whether somebody has work with it."""
        return self.stage not in ENDED

    @property
    def holders(self) -> tuple[UUID, ...]:
        """Whose load it is: the assignee's while it is live, and theirs who has the open offer."""
        assignee = () if self.assignee_id is None or not self.live else (self.assignee_id,)
        return assignee if self.offer is None else (*assignee, self.offer.operator_id)

    @property
    def needs_somebody(self) -> bool:
        """Whether a decision is owed: live, with no assignee, no open offer and no question open."""
        idle = self.assignee_id is None and self.offer is None
        return self.live and idle and self.asked_no != self.assignment_no

    def begin_round(self) -> "Ticket":
        """Everybody may be asked again."""
        return replace(self, refused_by={})


@dataclass(frozen=True, slots=True)
class Conduct:
    """What a fact says of an operator: they let an offer time out, or they answered one."""

    operator_id: UUID
    kind: Literal["timed_out", "answered"]


def conduct_in(ticket: Ticket | None, fact: Fact) -> Conduct | None:
    """What a fact says of an operator; `ticket` is as it was before it."""
    match fact:
        case OfferEnded(reason="timed_out", operator_id=operator_id, offer_id=offer_id):
            offer = None if ticket is None else ticket.offer
            if offer is not None and offer.offer_id == offer_id and offer.was_seen_in_time:
                return Conduct(operator_id, "timed_out")
        case OfferDeclined(operator_id=operator_id) | TicketAccepted(operator_id=operator_id):
            return Conduct(operator_id, "answered")
    return None


def open_ticket(ticket_id: UUID, correlation_id: UUID, fact: TicketOpened, time: datetime) -> Ticket:
    """A ticket that tickets opened at `time`."""
    customer = fact.customer
    return Ticket(
        ticket_id=ticket_id,
        correlation_id=correlation_id,
        waiting_since=min(fact.message.received_at, time),
        circumstances=Circumstances(
            line_id=fact.line.line_id,
            channel=fact.line.channel,
            language=fact.line.language,
            level=fact.level,
            priority=fact.priority,
            tier=customer.tier,
            company_id=customer.company_id,
            new_contact=customer.new,
            verified=customer.verified,
        ),
    )


def evolve(ticket: Ticket, fact: Fact, time: datetime, team_for: TeamFor) -> Ticket:
    """The ticket after a fact of tickets that was committed at `time`; others leave it as it is."""
    apply = _APPLYING.get(type(fact))
    return ticket if apply is None else apply(ticket, fact, _Context(time, team_for))


@dataclass(frozen=True, slots=True)
class _Context:
    time: datetime
    team_for: TeamFor


def _numbered(ticket: Ticket, assignment_no: int) -> Ticket:
    """Under a new number nothing of what was tried before counts."""
    if assignment_no == ticket.assignment_no:
        return ticket
    return replace(
        ticket,
        assignment_no=assignment_no,
        attempt=0,
        queue_attempt=0,
        refusals=0,
        refused_by={},
        waiting=False,
    )


def _circumstances(
    ticket: Ticket, *, priority: Priority | None = None, level: Level | None = None
) -> Circumstances:
    before = ticket.circumstances
    return before.model_copy(
        update={
            "priority": before.priority if priority is None else priority,
            "level": before.level if level is None else level,
        }
    )


def _moved(ticket: Ticket, fact: StageChanged, _context: _Context) -> Ticket:
    moved = replace(_numbered(ticket, fact.assignment_no), stage=fact.after)
    return replace(moved, waiting=moved.waiting and moved.live)


def _prioritised(ticket: Ticket, fact: PriorityChanged, _context: _Context) -> Ticket:
    return replace(ticket, circumstances=_circumstances(ticket, priority=fact.after))


def _routed(ticket: Ticket, fact: TicketRouted, _context: _Context) -> Ticket:
    answered = ticket.asked_no is not None and ticket.asked_no <= fact.assignment_no
    routed = replace(
        _numbered(ticket, fact.assignment_no),
        queue_id=fact.queue_id,
        requeue=False,
        asked_no=None if answered else ticket.asked_no,
        asked_id=None if answered else ticket.asked_id,
        waiting=False,
    )
    # A person's choice of another queue is no way back to whoever had it.
    return replace(routed, preferred_id=None) if fact.actor.kind == "operator" else routed


def _offered(ticket: Ticket, fact: TicketOffered, context: _Context) -> Ticket:
    known = ticket.offer
    if known is not None and known.offer_id == fact.offer_id:
        return replace(ticket, offer=replace(known, seen_at=context.time))
    offer = Offer(
        offer_id=fact.offer_id,
        operator_id=fact.operator_id,
        assignment_no=fact.assignment_no,
        made_at=context.time,
        until=fact.until,
        team_id=context.team_for(fact.queue_id, fact.operator_id),
        seen_at=context.time,
    )
    return replace(ticket, offer=offer, waiting=False)


def _without_offer(ticket: Ticket, offer_id: UUID | None) -> Ticket:
    if ticket.offer is None or ticket.offer.offer_id != offer_id:
        return ticket
    return replace(ticket, offer=None)


def _declined(ticket: Ticket, fact: OfferDeclined, _context: _Context) -> Ticket:
    return _refused(ticket, fact, "declined")


def _offer_ended(ticket: Ticket, fact: OfferEnded, _context: _Context) -> Ticket:
    if fact.reason == "timed_out":
        return _refused(ticket, fact, "timed_out")
    return _without_offer(ticket, fact.offer_id)


def _refused(ticket: Ticket, fact: OfferDeclined | OfferEnded, how: Refusal) -> Ticket:
    ended = _without_offer(ticket, fact.offer_id)
    return replace(ended, refused_by={**ended.refused_by, fact.operator_id: how})


def _accepted(ticket: Ticket, fact: TicketAccepted, context: _Context) -> Ticket:
    return replace(
        _numbered(_without_offer(ticket, fact.offer_id), fact.assignment_no),
        assignee_id=fact.operator_id,
        assignee_team_id=context.team_for(ticket.queue_id, fact.operator_id),
        return_no=None,
        preferred_id=None,
        waiting=False,
    )


def _unassigned(ticket: Ticket, fact: TicketUnassigned, _context: _Context) -> Ticket:
    freed = replace(
        _numbered(ticket, fact.assignment_no), assignee_id=None, assignee_team_id=None, return_no=None
    )
    if fact.reason in ("given_back", "taken_away"):
        # Who just gave it back, or lost it to a lead's decision, is not the one to be asked first.
        return replace(freed, refused_by={fact.operator_id: "declined"})
    return freed


def _escalated(ticket: Ticket, fact: Escalated, _context: _Context) -> Ticket:
    return replace(
        _numbered(ticket, fact.assignment_no),
        circumstances=_circumstances(ticket, level=fact.after),
        requeue=True,
        assignee_id=None,
        assignee_team_id=None,
        return_no=None,
        preferred_id=fact.preferred_operator_id,
        waiting=False,
    )


def _decision_refused(ticket: Ticket, fact: DecisionRefused, _context: _Context) -> Ticket:
    told = replace(
        _numbered(ticket, fact.assignment_no),
        stage=fact.stage,
        assignee_id=fact.assignee_id,
        assignee_team_id=ticket.assignee_team_id if fact.assignee_id == ticket.assignee_id else None,
    )
    offer = ticket.offer
    if fact.decision == "queue" and ticket.asked_id == fact.decision_id:
        return _counted(replace(told, asked_no=None, asked_id=None), fact, ticket.asked_no)
    if fact.decision == "offer" and offer is not None and _names(offer, fact):
        return _counted(replace(told, offer=None), fact, offer.assignment_no)
    if fact.decision == "withdrawal" and offer is not None and _names(offer, fact):
        return replace(told, offer=None)
    if fact.decision == "unassignment" and fact.assignment_no != ticket.return_no:
        # Refused with nothing changed, it would be refused again: the daily sweep asks once more.
        return replace(told, return_no=None)
    return told


def _names(offer: Offer, fact: DecisionRefused) -> bool:
    return fact.offer_id == offer.offer_id or fact.decision_id == offer.decision_id


def _counted(ticket: Ticket, fact: DecisionRefused, asked_under: int | None) -> Ticket:
    """A refusal although the number was right: asked again, it would be refused again."""
    if fact.assignment_no != asked_under:
        return ticket
    return replace(ticket, refusals=ticket.refusals + 1)


_APPLYING: Final[dict[type[Fact], Callable[[Ticket, Any, _Context], Ticket]]] = {
    StageChanged: _moved,
    PriorityChanged: _prioritised,
    TicketRouted: _routed,
    TicketOffered: _offered,
    OfferDeclined: _declined,
    OfferEnded: _offer_ended,
    TicketAccepted: _accepted,
    TicketUnassigned: _unassigned,
    Escalated: _escalated,
    DecisionRefused: _decision_refused,
}
