"""A decision while it is made: its facts one after another, and the ticket as each leaves it."""

from typing import Literal
from uuid import UUID

from deskline_events.facts import Fact
from deskline_events.tickets import Actor
from deskline_tickets.domain.events import OfferEnded, TicketAccepted, TicketUnassigned
from deskline_tickets.domain.ticket import Ticket, evolve

Unassigning = Literal[
    "given_back", "taken_away", "escalated", "queue_changed", "operator_left", "operator_lost"
]


class Unfolding:
    """Facts that follow from one command, in their order."""

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self._facts: list[Fact] = []

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What is to be stored."""
        return tuple(self._facts)

    @property
    def next_no(self) -> int:
        """The `assignment_no` of a fact that raises it."""
        return self.ticket.assignment_no + 1

    def add(self, fact: Fact) -> None:
        """The next fact."""
        self._facts.append(fact)
        # Of a state in between nobody asks at what time it was; what is kept has the log's.
        self.ticket = evolve(
            self.ticket,
            fact,
            ticket_id=self.ticket.id,
            version=self.ticket.version + 1,
            time=self.ticket.opened_at,
        )

    def end_offer(self) -> None:
        """The ticket goes on by another way than the open offer, if there is one."""
        offer = self.ticket.offer
        if offer is not None:
            self.add(
                OfferEnded(
                    offer_id=offer.offer_id,
                    operator_id=offer.operator_id,
                    reason="ticket_moved",
                    assignment_no=self.ticket.assignment_no,
                )
            )

    def unassign(self, reason: Unassigning, actor: Actor, decision_id: UUID | None = None) -> None:
        """The assignee, if there is one, has the ticket no longer."""
        if self.ticket.assignee_id is not None:
            self.add(
                TicketUnassigned(
                    operator_id=self.ticket.assignee_id,
                    reason=reason,
                    actor=actor,
                    assignment_no=self.next_no,
                    decision_id=decision_id,
                )
            )

    def assign(self, operator_id: UUID, actor: Actor) -> None:
        """The operator has the ticket: by the open offer where it is theirs, and else in spite of it."""
        offer = self.ticket.offer
        theirs = offer is not None and offer.operator_id == operator_id
        if not theirs:
            self.end_offer()
        self.add(
            TicketAccepted(
                operator_id=operator_id,
                offer_id=offer.offer_id if offer is not None and theirs else None,
                actor=actor,
                assignment_no=self.next_no,
            )
        )
