"""What time does: offers run out, presence expires, and sweeps catch what an event missed."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_routing.domain.deciding import recover, withdraw_offer
from deskline_routing.domain.ticket import MOST_REFUSALS
from deskline_routing.handlers.sitting import PAGE, Sitting
from deskline_routing.ports import Desk, OpenDesk

WAITING: Final = "waiting"
LEFT: Final = "left"


def time_out_offers(desk: Desk, due: Mapping[UUID, Collection[UUID]], cause: Cause) -> None:
    """Withdraw these offers (by ticket) where they are still open; what ended meanwhile is left alone."""
    sitting = Sitting(desk, cause)
    for ticket in desk.tickets(due).values():
        offer = ticket.offer
        if offer is not None and offer.offer_id in due[ticket.ticket_id]:
            follows = Cause(ticket.correlation_id, offer.decision_id, cause.traceparent)
            sitting.rule(withdraw_offer(ticket, "timed_out"), follows)
    sitting.close()


def withdraw_from_lost(open_desk: OpenDesk, cause: Cause) -> int:
    """Withdraw the open offers of operators who went offline or stopped beating; how many operators."""
    with open_desk() as desk:
        if not desk.out_of_reach():
            return 0
        sitting = Sitting(desk, cause)
        lost = desk.out_of_reach()
        for ticket in desk.held_by(lost):
            if ticket.offer is not None and ticket.offer.operator_id in lost:
                sitting.rule(withdraw_offer(ticket, "operator_lost"))
        sitting.close()
        return len(lost)


def sweep_waiting(open_desk: OpenDesk, cause: Cause) -> None:
    """Try every waiting ticket again, and those that no event will wake, page by page."""
    place = None
    while True:
        with open_desk() as desk:
            sitting = Sitting(desk, cause)
            place = sitting.sweep(place)
            sitting.close()
        if place is None:
            break
    after: UUID | None = None
    while True:
        with open_desk() as desk:
            sitting = Sitting(desk, cause)
            page = desk.astray(sitting.office.queues, after, PAGE)
            for ticket in page:
                sitting.redecide(replace(ticket, refusals=min(ticket.refusals, MOST_REFUSALS - 1)))
            sitting.close()
        if len(page) < PAGE:
            return
        after = page[-1].ticket_id


def sweep_left(open_desk: OpenDesk, cause: Cause) -> None:
    """Take tickets and offers back from whoever left the company, or the team by which they had them."""
    with open_desk() as desk:
        sitting = Sitting(desk, cause)
        for ticket in desk.held_by(sitting.office.operators):
            sitting.rule(recover(sitting.office, ticket, again=True))
        sitting.close()
