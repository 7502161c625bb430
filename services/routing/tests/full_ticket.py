"""A ticket in which everything is set, and what tickets tells of it: what a fact changes is seen in whole."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from deskline_events.conditions import Circumstances
from deskline_events.facts import Customer, Fact, Line
from deskline_events.tickets import Actor, CustomerMessage, DecisionRefused, TicketOpened
from deskline_routing.domain.ticket import Offer, Ticket, evolve

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
UNTIL = NOW + timedelta(minutes=30)
OLGA, OLEG, QUEUE, OFFER, ASKED, TEAM, OTHER, LINE, COMPANY, TICKET, STORY = (
    UUID(int=number) for number in range(1, 12)
)
SYSTEM, BY_OLEG = Actor(kind="system"), Actor(kind="operator", id=OLEG)
FOUND = Circumstances(line_id=LINE, channel="email", language="ru", level=1, priority="medium")
OPEN = Offer(OFFER, OLGA, 4, NOW, UNTIL, team_id=TEAM, decision_id=UUID(int=50))

# Everything is set, so that whatever a fact should clear is seen to be cleared, and nothing else.
FULL = Ticket(
    ticket_id=TICKET,
    correlation_id=STORY,
    waiting_since=NOW,
    circumstances=FOUND,
    stage="in_progress",
    assignment_no=4,
    queue_id=QUEUE,
    requeue=True,
    asked_no=4,
    asked_id=ASKED,
    assignee_id=OLEG,
    assignee_team_id=TEAM,
    return_no=4,
    offer=OPEN,
    preferred_id=OLGA,
    queue_attempt=2,
    attempt=3,
    refusals=1,
    refused_by={OLEG: "declined"},
    waiting=True,
)
UNTRIED: dict[str, Any] = {
    "attempt": 0,
    "queue_attempt": 0,
    "refusals": 0,
    "refused_by": {},
    "waiting": False,
}
ASKED_NOTHING: dict[str, Any] = {"asked_no": None, "asked_id": None}


def team_for(queue_id: UUID | None, operator_id: UUID) -> UUID | None:
    """A team that tells what was asked."""
    return None if queue_id is None else UUID(int=queue_id.int * 1000 + operator_id.int)


def after(ticket: Ticket, fact: Fact) -> Ticket:
    return evolve(ticket, fact, LATER, team_for)


def refused(**given: Any) -> DecisionRefused:
    fields: dict[str, Any] = {
        "decision": "offer",
        "decision_id": UUID(int=77),
        "offer_id": None,
        "reason": "stale",
        "stage": "waiting_customer",
        "assignee_id": OLEG,
        "assignment_no": 4,
    }
    return DecisionRefused(**(fields | given))


def opened(**given: Any) -> TicketOpened:
    fields: dict[str, Any] = {
        "number": 7,
        "line": Line(line_id=LINE, name="Support", channel="form", language="en"),
        "contact_id": OLGA,
        "customer": Customer(contact_id=OLGA, tier="gold", company_id=COMPANY, new=True, verified=True),
        "subject": "Printer",
        "message": CustomerMessage(source_key="0" * 64, received_at=NOW, kind="human", text="x"),
        "priority": "high",
        "level": 2,
        "reply_token": "t",
    }
    return TicketOpened(**(fields | given))
