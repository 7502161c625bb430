"""Deciding: what a ticket is owed becomes a fact, and the office is changed by it for the next ticket."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from deskline_events.facts import Fact
from deskline_events.routing import (
    AssignmentWithdrawn,
    NobodyAvailable,
    OfferMade,
    OfferWithdrawn,
    TicketQueued,
)
from deskline_events.tickets import WithdrawalReason
from deskline_routing.domain.choosing import choose_operator, choose_queue, could_take, rejection_of
from deskline_routing.domain.ids import offer_id_of
from deskline_routing.domain.office import Office, Queue
from deskline_routing.domain.ticket import MOST_REFUSALS, Offer, Ticket

_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision: the ticket after it, and the fact that announces it."""

    ticket: Ticket
    fact: Fact


class OfferClock:
    """Moments of offers: never twice the same, so that "longest since the last offer" is an order.

    Many offers are made in one transaction; each is a microsecond after the one before, by any replica.
    """

    def __init__(self, office: Office, now: datetime) -> None:
        offered = [one.last_offered_at for one in office.operators.values() if one.last_offered_at]
        self._last = max([now - _TICK, *offered])

    def next(self) -> datetime:
        """The moment of one more offer."""
        self._last += _TICK
        return self._last


def decide(office: Office, clock: OfferClock, ticket: Ticket) -> Ruling | None:
    """What is owed to a ticket that something happened to; None: nothing, or it was said already."""
    if not ticket.needs_somebody or ticket.refusals >= MOST_REFUSALS:
        return None
    queue = _queue_of(office, ticket)
    if queue is None:
        return _queued(office, ticket)
    return _offered(office, clock, ticket, queue)


def reconsider(
    office: Office, clock: OfferClock, ticket: Ticket, gained: Collection[UUID], *, restart: bool
) -> Ruling | None:
    """The same for a ticket that waits, after these operators gained something; None: it waits on.

    Where all others were asked, `restart` lets the round begin anew if one of them could take it.
    """
    queue = _queue_of(office, ticket)
    if not ticket.needs_somebody or queue is None:
        return decide(office, clock, ticket)
    if could_take(office, queue, ticket.refused_by):
        return _offered(office, clock, ticket, queue)
    if restart and ticket.refused_by:
        known = (office.operators.get(one) for one in gained)
        if any(one is not None and rejection_of(one, queue, {}) is None for one in known):
            return _offered(office, clock, ticket.begin_round(), queue)
    return None


def withdraw_offer(ticket: Ticket, reason: WithdrawalReason) -> Ruling | None:
    """Take the open offer back, once."""
    offer = ticket.offer
    if offer is None or offer.withdrawn:
        return None
    fact = OfferWithdrawn(
        offer_id=offer.offer_id,
        operator_id=offer.operator_id,
        assignment_no=offer.assignment_no,
        reason=reason,
    )
    return Ruling(replace(ticket, offer=replace(offer, withdrawn=True)), fact)


def recover(office: Office, ticket: Ticket, *, again: bool = False) -> Ruling | None:
    """Take a ticket or an offer back from who left; `again` asks even where the same was refused."""
    offer = ticket.offer
    if offer is not None and office.is_lost(offer.operator_id, offer.team_id):
        return withdraw_offer(ticket, "operator_left")
    assignee, asked = ticket.assignee_id, ticket.return_no == ticket.assignment_no and not again
    if not ticket.live or assignee is None or asked or not office.is_lost(assignee, ticket.assignee_team_id):
        return None
    fact = AssignmentWithdrawn(
        operator_id=assignee, assignment_no=ticket.assignment_no, reason="operator_left"
    )
    return Ruling(replace(ticket, return_no=ticket.assignment_no), fact)


def _queue_of(office: Office, ticket: Ticket) -> Queue | None:
    if ticket.requeue or ticket.queue_id is None:
        return None
    return office.queues.get(ticket.queue_id)


def _queued(office: Office, ticket: Ticket) -> Ruling:
    choice = choose_queue(office, ticket.circumstances)
    fact = TicketQueued(
        queue_id=choice.queue.queue_id,
        team_id=choice.queue.team_id,
        assignment_no=ticket.assignment_no,
        circumstances=ticket.circumstances,
        considered=choice.considered,
        fallback=choice.queue.fallback,
    )
    asked = replace(
        ticket,
        asked_no=ticket.assignment_no,
        asked_id=None,
        queue_attempt=ticket.queue_attempt + 1,
        waiting=False,
    )
    return Ruling(asked, fact)


def _offered(office: Office, clock: OfferClock, ticket: Ticket, queue: Queue) -> Ruling | None:
    choice = choose_operator(office, queue, ticket.refused_by, ticket.preferred_id)
    attempt = ticket.attempt + 1
    operator = choice.operator
    if operator is None:
        if ticket.waiting:
            return None
        nobody = NobodyAvailable(
            queue_id=queue.queue_id,
            assignment_no=ticket.assignment_no,
            attempt=attempt,
            candidates=choice.candidates,
        )
        return Ruling(replace(ticket, waiting=True, attempt=attempt), nobody)
    made_at = clock.next()
    offer = Offer(
        offer_id=offer_id_of(ticket.ticket_id, ticket.assignment_no, attempt),
        operator_id=operator.operator_id,
        assignment_no=ticket.assignment_no,
        made_at=made_at,
        until=made_at + timedelta(seconds=queue.accept_seconds),
        team_id=queue.team_id,
    )
    fact = OfferMade(
        offer_id=offer.offer_id,
        queue_id=queue.queue_id,
        operator_id=operator.operator_id,
        assignment_no=ticket.assignment_no,
        attempt=attempt,
        until=offer.until,
        strategy="longest_idle",
        waiting_since=ticket.waiting_since,
        candidates=choice.candidates,
    )
    operator.load += 1
    operator.last_offered_at = made_at
    return Ruling(replace(ticket, offer=offer, attempt=attempt, waiting=False), fact)
