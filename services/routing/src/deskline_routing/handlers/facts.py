"""What tickets announced becomes routing's state, and what is owed after it is decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_events.facts import Fact
from deskline_events.tickets import OfferDeclined, OfferEnded, TicketOpened
from deskline_routing.domain.ticket import Ticket, UnknownTicketError, conduct_in, evolve, open_ticket
from deskline_routing.handlers.sitting import Sitting
from deskline_routing.ports import Desk


@dataclass(frozen=True, slots=True)
class TakeFact:
    """A fact about a ticket, committed by tickets at `time`."""

    ticket_id: UUID
    fact: Fact
    time: datetime
    cause: Cause


def take_facts(desk: Desk, facts: Sequence[TakeFact]) -> None:
    """Apply them in their order, then decide; raises UnknownTicketError."""
    if not facts:
        return
    sitting = Sitting(desk, facts[-1].cause)
    tickets = desk.tickets({one.ticket_id for one in facts})
    causes: dict[UUID, Cause] = {}
    freed: set[UUID] = set()
    gained: set[UUID] = set()
    for one in facts:
        before = tickets.get(one.ticket_id)
        conduct = conduct_in(before, one.fact)
        if conduct is not None:
            sitting.heed(conduct)
        after = _applied(before, one, sitting)
        lighter = sitting.note(before, after)
        (freed if _is_passed(one.fact) else gained).update(lighter)
        tickets[one.ticket_id] = after
        causes[one.ticket_id] = one.cause
    sitting.settle([tickets[one] for one in causes], causes, freed, gained)
    sitting.close()


def _is_passed(fact: Fact) -> bool:
    """Whether somebody only let an offer pass: they have room again, but no reason to be asked again."""
    return isinstance(fact, OfferDeclined) or (isinstance(fact, OfferEnded) and fact.reason == "timed_out")


def _applied(before: Ticket | None, one: TakeFact, sitting: Sitting) -> Ticket:
    if isinstance(one.fact, TicketOpened):
        return before or open_ticket(one.ticket_id, one.cause.correlation_id, one.fact, one.time)
    if before is None:
        raise UnknownTicketError(f"nothing is known of ticket {one.ticket_id} before this")
    return evolve(before, one.fact, one.time, sitting.office.team_for)
