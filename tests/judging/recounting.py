"""What the topics say of each ticket, counted anew from the first record on, with rules of its own."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tests.judging.records import Json, Published, first_occurrences

OVER = {"resolved", "closed", "merged", "spam", "abandoned"}


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass
class Card:
    """A ticket as its own events make it; named as the analysts' table names it."""

    number: int
    line_id: str
    contact_id: str
    priority: str
    level: int
    opened_at: datetime
    version: int = 1
    changed_at: datetime | None = None
    stage: str = "new"
    cycle: int = 1
    open: bool = True
    assignment_no: int = 0
    queue_id: str | None = None
    team_id: str | None = None
    assignee_id: str | None = None
    assigned_at: datetime | None = None
    offer_id: str | None = None
    offer_operator_id: str | None = None
    customer_messages: int = 0
    operator_messages: int = 0
    automatic_messages: int = 0
    notes: int = 0
    escalations: int = 0
    reopened: int = 0
    first_customer_at: datetime | None = None
    last_customer_at: datetime | None = None
    first_operator_at: datetime | None = None
    last_operator_at: datetime | None = None
    last_message_kind: str | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    closing_reason: str | None = None


def _opened(event: Published) -> Card:
    data = event.data
    card = Card(
        number=data["number"],
        line_id=data["line"]["line_id"],
        contact_id=data["contact_id"],
        priority=data["priority"],
        level=data["level"],
        opened_at=event.time,
    )
    _wrote(card, event)
    return card


def _wrote(card: Card, event: Published) -> None:
    message = event.data["message"]
    if message["kind"] != "human":
        card.automatic_messages += 1
        card.last_message_kind = "automatic"
        return
    at = datetime.fromisoformat(message["received_at"])
    card.customer_messages += 1
    card.last_message_kind = "customer"
    card.first_customer_at = min(at, card.first_customer_at or at)
    card.last_customer_at = max(at, card.last_customer_at or at)


def _replied(card: Card, event: Published) -> None:
    card.operator_messages += 1
    card.last_message_kind = "operator"
    card.first_operator_at = card.first_operator_at or event.time
    card.last_operator_at = event.time


def _noted(card: Card, _event: Published) -> None:
    card.notes += 1


def _moved(card: Card, event: Published) -> None:
    data = event.data
    card.stage, card.open = data["after"], data["after"] not in OVER
    card.reopened += data["cycle"] > card.cycle
    card.cycle = data["cycle"]
    if card.stage == "resolved":
        card.resolved_at, card.closing_reason = event.time, data["closing_reason"]
    elif card.open:
        card.resolved_at = card.closing_reason = None
    card.closed_at = event.time if card.stage == "closed" else None


def _prioritised(card: Card, event: Published) -> None:
    card.priority = event.data["after"]


def _routed(card: Card, event: Published) -> None:
    card.queue_id, card.team_id = event.data["queue_id"], event.data["team_id"]


def _offered(card: Card, event: Published) -> None:
    card.offer_id, card.offer_operator_id = event.data["offer_id"], event.data["operator_id"]


def _without_offer(card: Card, event: Published) -> None:
    if card.offer_id == event.data["offer_id"]:
        card.offer_id = card.offer_operator_id = None


def _accepted(card: Card, event: Published) -> None:
    _without_offer(card, event)
    card.assignee_id, card.assigned_at = event.data["operator_id"], event.time


def _unassigned(card: Card, _event: Published) -> None:
    card.assignee_id = card.assigned_at = None


def _escalated(card: Card, event: Published) -> None:
    card.level = event.data["after"]
    card.escalations += 1


_RULES: dict[str, Callable[[Card, Published], None]] = {
    "CustomerReplied": _wrote,
    "AutomaticMessageAdded": _wrote,
    "OperatorReplied": _replied,
    "NoteAdded": _noted,
    "StageChanged": _moved,
    "PriorityChanged": _prioritised,
    "TicketRouted": _routed,
    "TicketOffered": _offered,
    "OfferDeclined": _without_offer,
    "OfferEnded": _without_offer,
    "TicketAccepted": _accepted,
    "TicketUnassigned": _unassigned,
    "Escalated": _escalated,
}


def cards(tickets: Iterable[Published]) -> dict[str, Card]:
    """Ticket → its card."""
    found: dict[str, Card] = {}
    for stream, events in first_occurrences(tickets).items():
        for event in sorted(events, key=lambda one: one.sequence):
            if event.name == "TicketOpened":
                found[stream] = _opened(event)
            elif stream not in found:
                break  # a message that makes no ticket
            elif event.name in _RULES:
                _RULES[event.name](found[stream], event)
            card = found.get(stream)
            if card is not None:
                card.version, card.changed_at = event.sequence, event.time
                if event.name != "DecisionRefused":
                    card.assignment_no = event.data.get("assignment_no", card.assignment_no)
    return found


def loads(found: dict[str, Card]) -> Counter[str]:
    """Operator → open tickets that they have, and offers that are open to them."""
    load = Counter(card.assignee_id for card in found.values() if card.assignee_id and card.open)
    load.update(card.offer_operator_id for card in found.values() if card.offer_operator_id)
    return Counter({operator: count for operator, count in load.items() if operator is not None})


@dataclass
class Clock:
    """A clock as sla announced it."""

    state: str
    generation: int
    due_at: datetime
    ended_at: datetime | None = None
    breached: bool = False


def clocks(sla: Iterable[Published]) -> dict[tuple[str, str, int], Clock]:
    """(ticket, clock, cycle) → the clock."""
    states = {
        "ClockStarted": "running",
        "ClockResumed": "running",
        "ClockPaused": "paused",
        "ClockMet": "met",
        "ClockCancelled": "cancelled",
    }
    found: dict[tuple[str, str, int], Clock] = {}
    for stream, events in first_occurrences(sla).items():
        for event in sorted(events, key=lambda one: one.sequence):
            data = event.data
            if "clock" not in data:
                continue
            place = stream, data["clock"], data["cycle"]
            if event.name == "ClockStarted":
                found[place] = Clock("running", data["generation"], datetime.fromisoformat(data["due_at"]))
            clock = found[place]
            if event.name in states:
                clock.state = states[event.name]
                clock.ended_at = moment(data.get("met_at") or data.get("cancelled_at"))
            if event.name not in {"SlaWarned", "SlaBreached"}:
                clock.generation = data["generation"]
            clock.due_at = moment(data.get("due_at")) or clock.due_at
            clock.breached |= event.name == "SlaBreached" or data.get("breached", False)
    return found


def told(notify: Iterable[Published]) -> dict[str, Json]:
    """Notification → what was announced of it."""
    return {
        event.data["notification_id"]: {
            "ticket_id": event.stream,
            "event_id": event.data["event_id"],
            "kind": event.data["kind"],
            "recipient_id": event.data["recipient"]["id"],
            "state": "sent" if event.name == "NotificationSent" else "failed",
            "reason": event.data.get("reason"),
        }
        for events in first_occurrences(notify).values()
        for event in events
    }


def analysts_rows(topics: dict[str, list[Published]]) -> dict[str, Json]:
    """Ticket → columns of the analysts' table, of every owner."""
    rows: dict[str, Json] = {
        stream: asdict(card) | {"offers_made": 0, "notifications_sent": 0, "notifications_failed": 0}
        for stream, card in cards(topics["tickets"]).items()
    }
    for events in first_occurrences(topics["routing"]).values():
        for event in events:
            if event.name == "OfferMade":
                rows[event.stream]["offers_made"] += 1
    for one in told(topics["notify"]).values():
        rows[one["ticket_id"]][f"notifications_{one['state']}"] += 1
    last: dict[str, int] = defaultdict(int)
    for (stream, name, cycle), clock in sorted(clocks(topics["sla"]).items()):
        met_at = clock.ended_at if clock.state == "met" else None
        if name == "first_response":
            rows[stream] |= {"first_response_at": met_at, "first_response_breached": clock.breached}
        elif cycle > last[stream]:
            last[stream] = cycle
            rows[stream] |= {
                "resolution_cycle": cycle,
                "resolution_met_at": met_at,
                "resolution_breached": clock.breached,
            }
    return rows


def flow(topics: dict[str, list[Published]]) -> Json:
    """How often what happened, in all."""
    names: Counter[str] = Counter()
    for owner in ("intake", "tickets"):
        for events in first_occurrences(topics[owner]).values():
            for event in events:
                after = event.data.get("after") if event.name == "StageChanged" else None
                names[event.name] += 1
                names[f"to {after}"] += 1
    return {
        "received": names["MessageReceived"],
        "opened": names["TicketOpened"],
        "customer_replies": names["CustomerReplied"],
        "operator_replies": names["OperatorReplied"],
        "automatic": names["AutomaticMessageAdded"],
        "resolved": names["to resolved"],
        "closed": names["to closed"],
        "set_aside": names["MessageSetAside"],
    }


WORK = ("offered", "accepted", "declined", "timed_out", "replies", "resolved")


def work(tickets: Iterable[Published]) -> dict[str, dict[str, Any]]:
    """Operator → what they were offered, accepted, declined, answered, resolved."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    named = {
        "TicketOffered": "offered",
        "TicketAccepted": "accepted",
        "OfferDeclined": "declined",
        "OperatorReplied": "replies",
    }
    for events in first_occurrences(tickets).values():
        assignee: str | None = None
        for event in sorted(events, key=lambda one: one.sequence):
            if event.name in named:
                counts[event.data["operator_id"]][named[event.name]] += 1
            elif event.name == "OfferEnded" and event.data["reason"] == "timed_out":
                counts[event.data["operator_id"]]["timed_out"] += 1
            elif event.name == "StageChanged" and event.data["after"] == "resolved":
                # What the system resolves is the work of whoever had it.
                actor = event.data["actor"]
                credited = actor["id"] if actor["kind"] == "operator" else assignee
                if credited is not None:
                    counts[credited]["resolved"] += 1
            if event.name in {"TicketAccepted", "TicketUnassigned"}:
                assignee = event.data["operator_id"] if event.name == "TicketAccepted" else None
    return {operator: {name: found[name] for name in WORK} for operator, found in counts.items()}
