"""Given events, when a command, then events: the words in which assignment is tested."""

from typing import Any
from uuid import UUID

from services.tickets.tests.givens import BY_COLLEAGUE, BY_OPERATOR, NOW, OPERATOR, STAFF, TICKET

from deskline_events.facts import Fact
from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.commands import (
    AcceptOffer,
    ChangeQueue,
    ChangeStage,
    Command,
    DeclineOffer,
    EndAssignment,
    EndOffer,
    OfferTicket,
    RouteTicket,
    UnassignTicket,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    DecisionRefused,
)
from deskline_tickets.domain.ticket import Ticket, evolve

QUEUE, OTHER_QUEUE, TEAM, OFFER, ASKED = (UUID(int=n) for n in (60, 61, 70, 80, 90))


def then(ticket: Ticket, *facts: Fact) -> Ticket:
    for fact in facts:
        ticket = evolve(ticket, fact, ticket_id=TICKET, version=ticket.version + 1, time=NOW)
    return ticket


def after(ticket: Ticket, *commands: Command) -> Ticket:
    for command in commands:
        ticket = then(ticket, *decide(ticket, command))
    return ticket


def route(no: int = 0, asked: UUID = ASKED, **more: Any) -> RouteTicket:
    fields: dict[str, Any] = {"queue_id": QUEUE, "team_id": TEAM}
    return RouteTicket(decision_id=asked, assignment_no=no, **(fields | more))


def offer(no: int = 0, **more: Any) -> OfferTicket:
    fields: dict[str, Any] = {"decision_id": UUID(int=91), "offer_id": OFFER, "operator_id": OPERATOR}
    return OfferTicket(**(fields | {"queue_id": QUEUE, "until": NOW, "assignment_no": no} | more))


def withdraw(**more: Any) -> EndOffer:
    fields: dict[str, Any] = {"decision_id": UUID(int=92), "offer_id": OFFER, "reason": "timed_out"}
    return EndOffer(**(fields | more))


def lose(no: int, **more: Any) -> EndAssignment:
    fields: dict[str, Any] = {"decision_id": UUID(int=93), "operator_id": OPERATOR, "assignment_no": no}
    return EndAssignment(**(fields | {"reason": "operator_left"} | more))


def accept(by: Actor = BY_OPERATOR, offer_id: UUID = OFFER) -> AcceptOffer:
    return AcceptOffer(actor=by, roles=STAFF, offer_id=offer_id)


def decline(by: Actor = BY_OPERATOR, offer_id: UUID = OFFER) -> DeclineOffer:
    return DeclineOffer(actor=by, roles=STAFF, offer_id=offer_id, reason="busy")


def unassign(ticket: Ticket, by: Actor = BY_OPERATOR, *, leads: bool = False) -> UnassignTicket:
    return UnassignTicket(actor=by, roles=STAFF, leads=leads, expected_version=ticket.version)


def requeue(ticket: Ticket, queue: UUID = OTHER_QUEUE, **more: Any) -> ChangeQueue:
    fields: dict[str, Any] = {"actor": BY_COLLEAGUE, "roles": STAFF, "team_id": None, "known": True}
    return ChangeQueue(**(fields | {"queue_id": queue, "expected_version": ticket.version} | more))


def move(ticket: Ticket, stage: Stage, by: Actor = BY_OPERATOR, **more: Any) -> ChangeStage:
    fields: dict[str, Any] = {"expected_version": ticket.version}
    fields["closing_reason"] = "solved" if stage == "resolved" else None
    return ChangeStage(actor=by, roles=STAFF, stage=stage, now=NOW, **(fields | more))


def refusal(ticket: Ticket, command: Command) -> DecisionRefused:
    (event,) = decide(ticket, command)
    assert isinstance(event, DecisionRefused)
    told = (event.stage, event.assignee_id, event.assignment_no)
    assert told == (ticket.stage, ticket.assignee_id, ticket.assignment_no)
    # It was answered: told again, it is quiet.
    assert decide(then(ticket, event), command) == ()
    return event
