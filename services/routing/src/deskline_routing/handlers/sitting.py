"""A sitting: one transaction under the log's lock in which tickets are decided, one after another."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_events.conditions import Conditions
from deskline_events.routing import OfferMade, QueueChanged
from deskline_routing.domain.deciding import OfferClock, Ruling, decide, reconsider, recover
from deskline_routing.domain.ids import FALLBACK_QUEUE
from deskline_routing.domain.office import Operator
from deskline_routing.domain.ticket import Conduct, Ticket
from deskline_routing.figures import DECISIONS, SET_AWAY
from deskline_routing.ports import Desk, Place, Told

MOST_WOKEN: Final = 2000
"""Waiting tickets that one transaction looks at; the sweep sees the others."""

PAGE: Final = 500
TIMEOUTS_UNTIL_AWAY: Final = 2


class Sitting:
    """Takes the lock, knows the office, gathers what is decided, and saves it at the end."""

    def __init__(self, desk: Desk, cause: Cause) -> None:
        desk.lock()
        self._desk = desk
        self._cause = cause
        self.office = desk.office()
        if FALLBACK_QUEUE not in self.office.queues:
            desk.put_queue(_first_fallback(), cause)
            self.office = desk.office()
        self._clock = OfferClock(self.office, desk.now())
        self._changed: dict[UUID, Ticket] = {}
        self._told: list[Told] = []
        self._turns: dict[UUID, Operator] = {}
        self._away: set[UUID] = set()

    def note(self, before: Ticket | None, after: Ticket) -> set[UUID]:
        """A ticket changed by itself; gives who carries less by it."""
        held, holds = (() if before is None else before.holders), after.holders
        if held != holds:
            self.office.carry(held, -1)
            self.office.carry(holds, 1)
        if before is not after:
            self._changed[after.ticket_id] = after
        return set(held) - set(holds)

    def heed(self, conduct: Conduct) -> None:
        """An operator answered an offer, or let one pass: two of these in a row set them away."""
        operator = self.office.operators.get(conduct.operator_id)
        if operator is None:
            return
        timeouts = operator.timeouts + 1 if conduct.kind == "timed_out" else 0
        if timeouts >= TIMEOUTS_UNTIL_AWAY:
            timeouts = 0
            if operator.presence == "online":
                operator.presence = "away"
                self._away.add(operator.operator_id)
        if timeouts != operator.timeouts:
            operator.timeouts = timeouts
            self._turns[operator.operator_id] = operator

    def settle(
        self,
        tickets: Collection[Ticket],
        causes: Mapping[UUID, Cause],
        freed: Collection[UUID] = (),
        gained: Collection[UUID] = (),
    ) -> None:
        """Decide what these tickets are owed, and those that wait for these operators; the oldest first.

        `gained` operators let the round of a ticket that everybody was asked about begin anew, `freed`
        ones, who only declined something or let it pass, do not.
        """
        for ticket in tickets:
            self.rule(recover(self.office, ticket), causes.get(ticket.ticket_id))
        own = {ticket.ticket_id for ticket in tickets}
        queue_ids, room = self.office.served_by({*freed, *gained})
        limit = min(PAGE, room)
        page = self._waiting(queue_ids, None, limit) if queue_ids else []
        looked_at = [ticket for ticket in page if ticket.ticket_id not in own]
        for ticket in _oldest_first([*(one for one in tickets if one.needs_somebody), *looked_at]):
            if ticket.waiting:
                self._reconsider(ticket, gained)
            else:
                self.rule(decide(self.office, self._clock, ticket), causes.get(ticket.ticket_id))
        seen = len(page)
        while page and len(page) == limit and seen < MOST_WOKEN:
            queue_ids, _ = self.office.served_by({*freed, *gained})
            if not queue_ids:
                return
            limit = PAGE
            page = self._waiting(queue_ids, _place(page[-1]), limit)
            seen += len(page)
            for ticket in page:
                if ticket.ticket_id not in own:
                    self._reconsider(ticket, gained)

    def sweep(self, after: Place | None) -> Place | None:
        """Look at one page of those who wait; where the next one begins, None: there is none."""
        everybody = set(self.office.operators)
        queue_ids, _ = self.office.served_by(everybody)
        page = self._waiting(queue_ids, after, PAGE) if queue_ids else []
        for ticket in page:
            self._reconsider(ticket, everybody)
        return _place(page[-1]) if len(page) == PAGE else None

    def rule(self, ruling: Ruling | None, cause: Cause | None = None) -> None:
        """Keep a decision; without a cause of its own it follows from what woke this sitting."""
        if ruling is None:
            return
        ticket = ruling.ticket
        if cause is None:
            cause = Cause(ticket.correlation_id, self._cause.causation_id, self._cause.traceparent)
        self._changed[ticket.ticket_id] = ticket
        self._told.append(Told(ticket.ticket_id, ruling.fact, cause))
        if isinstance(ruling.fact, OfferMade):
            operator = self.office.operators[ruling.fact.operator_id]
            self._turns[operator.operator_id] = operator

    def redecide(self, ticket: Ticket) -> None:
        """Decide a ticket by itself, whatever woke this sitting."""
        self._changed[ticket.ticket_id] = ticket
        self.rule(decide(self.office, self._clock, ticket))

    def close(self) -> None:
        """Save it all."""
        self._desk.save(self._told, self._changed.values(), self._turns.values())
        self._desk.set_away(self._away)
        for told in self._told:
            DECISIONS.labels(type(told.fact).__name__).inc()
        SET_AWAY.inc(len(self._away))

    def _waiting(self, queue_ids: Collection[UUID], after: Place | None, limit: int) -> list[Ticket]:
        found = self._desk.waiting_in(queue_ids, after, limit)
        # A row is as it was before this sitting.
        return [self._changed.get(ticket.ticket_id, ticket) for ticket in found]

    def _reconsider(self, ticket: Ticket, gained: Collection[UUID]) -> None:
        self.rule(reconsider(self.office, self._clock, ticket, gained, restart=bool(gained)))


def _first_fallback() -> QueueChanged:
    """The fallback queue as it is seeded: anybody may take from it."""
    return QueueChanged(
        queue_id=FALLBACK_QUEUE, name="Fallback", order=0, conditions=Conditions(), fallback=True
    )


def _place(ticket: Ticket) -> Place:
    return ticket.waiting_since, ticket.ticket_id


def _oldest_first(tickets: Iterable[Ticket]) -> list[Ticket]:
    return sorted(tickets, key=lambda one: (one.waiting_since, one.ticket_id))
