"""The analysts' questions answered naively, from the facts alone, as if there were no read model."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from deskline_events.envelope import Envelope
from deskline_events.facts import Fact

MOSCOW = ZoneInfo("Europe/Moscow")
OVER = {"resolved", "closed", "merged", "spam", "abandoned"}
LEFT_OUT = {"merged", "spam"}
WEEKDAYS = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")
HOUR = 3600.0

Row = dict[str, Any]
Told = tuple[Envelope, Fact]


class Past:
    """What was told until `now`, and how one asks it."""

    def __init__(self, events: Sequence[Told], now: datetime) -> None:
        self.events, self.now = events, now
        self.tickets: dict[UUID, list[Told]] = defaultdict(list)
        self.names: dict[UUID | None, str | None] = defaultdict(lambda: None)
        self.lines: dict[UUID, Any] = {}
        for envelope, fact in events:
            if envelope.owner == "tickets" and type(fact).__name__ != "MessageSetAside":
                self.tickets[envelope.subject].append((envelope, fact))
            if type(fact).__name__ == "QueueChanged":
                self.names[fact.queue_id] = fact.name  # type: ignore[attr-defined]
            if type(fact).__name__ == "MessageReceived":
                self.lines[fact.line.line_id] = fact.line  # type: ignore[attr-defined]

    def of(self, *kinds: str) -> Iterator[tuple[Envelope, Any]]:
        return ((e, f) for e, f in self.events if type(f).__name__ in kinds)

    def day(self, days_ago: int = 0) -> datetime:
        """Midnight of Moscow so many days ago."""
        today = self.now.astimezone(MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0)
        return today - timedelta(days=days_ago)

    def monday(self, weeks_ago: int) -> datetime:
        return self.day(self.now.astimezone(MOSCOW).weekday() + 7 * weeks_ago)

    def latest(self, ticket_id: UUID, until: datetime, *kinds: str) -> Any:
        """The last fact of these kinds that tickets told of the ticket until then."""
        found = [f for e, f in self.tickets[ticket_id] if e.time <= until and type(f).__name__ in kinds]
        return found[-1] if found else None

    def stage(self, ticket_id: UUID) -> str:
        moved = self.latest(ticket_id, self.now, "StageChanged")
        return "new" if moved is None else str(moved.after)

    def cycle(self, ticket_id: UUID) -> int:
        moved = self.latest(ticket_id, self.now, "StageChanged")
        return 1 if moved is None else int(moved.cycle)

    def queue(self, ticket_id: UUID, until: datetime) -> UUID | None:
        routed = self.latest(ticket_id, until, "TicketRouted")
        return None if routed is None else routed.queue_id

    def assignee(self, ticket_id: UUID, until: datetime) -> UUID | None:
        last = self.latest(ticket_id, until, "TicketAccepted", "TicketUnassigned")
        return last.operator_id if type(last).__name__ == "TicketAccepted" else None

    def offer(self, ticket_id: UUID, until: datetime) -> Any:
        last = self.latest(ticket_id, until, "TicketOffered", "OfferDeclined", "OfferEnded", "TicketAccepted")
        return last if type(last).__name__ == "TicketOffered" else None

    def human(self, ticket_id: UUID) -> list[datetime]:
        """When messages that people wrote came."""
        messages = (f.message for _, f in self.tickets[ticket_id] if hasattr(f, "message"))
        return [m.received_at for m in messages if m.kind == "human"]

    def answers(self, ticket_id: UUID) -> list[datetime]:
        return [e.time for e, f in self.tickets[ticket_id] if type(f).__name__ == "OperatorReplied"]

    def by_name(self, queue_id: UUID | None) -> tuple[bool, str, str]:
        """Sorts queues as the questions do."""
        return self.names[queue_id] is None, self.names[queue_id] or "", str(queue_id or "g")


def percentile(values: Iterable[float], share: float) -> float | None:
    """Linear between neighbours."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def hours(before: datetime, after: datetime) -> float:
    return (after - before).total_seconds() / HOUR


def ratio(part: int, whole: int | Fraction, digits: int) -> float | None:
    """Rounded half up, as PostgreSQL rounds; null where there is nothing."""
    step = 10**digits
    return None if not whole else floor(Fraction(part) / whole * step + Fraction(1, 2)) / step


def volume(past: Past) -> list[Row]:
    counts: dict[tuple[Any, UUID], Counter[str]] = defaultdict(Counter)

    def count(moment: datetime, line_id: UUID, what: str) -> None:
        if moment >= past.day(30):
            counts[moment.astimezone(MOSCOW).date(), line_id][what] += 1

    line_of = {e.subject: f.line.line_id for e, f in past.of("TicketOpened")}
    kinds = {
        "TicketOpened": "opened",
        "CustomerReplied": "customer_replies",
        "AutomaticMessageAdded": "automatic",
        "OperatorReplied": "operator_replies",
    }
    cycles: dict[UUID, int] = defaultdict(lambda: 1)
    for _, fact in past.of("MessageReceived"):
        count(fact.received_at, fact.line.line_id, "received")
    for envelope, fact in past.of("MessageSetAside"):
        count(envelope.time, fact.line_id, "set_aside")
    for envelope, fact in past.of(*kinds, "StageChanged"):
        line_id = line_of[envelope.subject]
        if type(fact).__name__ != "StageChanged":
            count(envelope.time, line_id, kinds[type(fact).__name__])
            continue
        if fact.after in {"resolved", "closed"}:
            count(envelope.time, line_id, fact.after)
        if fact.cycle > cycles[envelope.subject]:
            cycles[envelope.subject] = fact.cycle
            count(envelope.time, line_id, "reopened")
    rows = []
    for (day, line_id), found in counts.items():
        line = past.lines[line_id]
        row = {"day": day, "line_name": line.name, "channel": line.channel}
        shown = (
            "received",
            "opened",
            "customer_replies",
            "operator_replies",
            "resolved",
            "reopened",
            "closed",
        )
        row |= {name: found[name] for name in shown}
        row["growth"] = found["opened"] + found["reopened"] - found["resolved"]
        row["automatic_share"] = ratio(found["automatic"] + found["set_aside"], found["received"], 3)
        rows.append(row)
    return sorted(rows, key=lambda row: (row["day"], row["line_name"]))


def busiest_hours(past: Past) -> list[Row]:
    counted: Counter[tuple[int, int]] = Counter()
    for _, fact in past.of("MessageReceived"):
        if past.monday(8) <= fact.received_at < past.monday(0):
            local = fact.received_at.astimezone(MOSCOW)
            counted[local.isoweekday(), local.hour] += 1
    return [
        {
            "weekday": weekday,
            "weekday_name": WEEKDAYS[weekday - 1],
            "hour": hour,
            "received": count,
            "per_week": ratio(count, 8, 2),
        }
        for (weekday, hour), count in sorted(counted.items())
    ]


def first_response(past: Past) -> list[Row]:
    queues: dict[UUID | None, list[tuple[UUID, float | None]]] = defaultdict(list)
    for envelope, _ in past.of("TicketOpened"):
        ticket_id, human = envelope.subject, past.human(envelope.subject)
        if envelope.time < past.day(30) or not human or past.stage(ticket_id) in LEFT_OUT:
            continue
        answers = past.answers(ticket_id)
        if answers and answers[0] < min(human):
            continue
        waited = hours(min(human), answers[0]) if answers else None
        queues[past.queue(ticket_id, past.now)].append((ticket_id, waited))
    rows = []
    for queue_id in sorted(queues, key=past.by_name):
        answered = [waited for _, waited in queues[queue_id] if waited is not None]
        waiting = [ticket_id for ticket_id, waited in queues[queue_id] if waited is None]
        ages = [hours(min(past.human(t)), past.now) for t in waiting if past.stage(t) not in OVER]
        rows.append(
            {
                "queue_id": queue_id,
                "queue": past.names[queue_id],
                "answered": len(answered),
                "median_hours": percentile(answered, 0.5),
                "p90_hours": percentile(answered, 0.9),
                "mean_hours": statistics.fmean(answered) if answered else None,
                "unanswered": len(waiting),
                "oldest_waiting_hours": max(ages, default=None),
            }
        )
    return rows


def backlog(past: Past) -> list[Row]:
    bounds = ((24, "1: under 1 day"), (72, "2: 1 to 3 days"), (168, "3: 3 to 7 days"))
    groups: dict[tuple[UUID | None, str], list[tuple[UUID, datetime]]] = defaultdict(list)
    late = {key[:1] + key[2:] for key, clock in clocks(past).items() if is_late(clock, past.now)}
    for envelope, _ in past.of("TicketOpened"):
        if past.stage(envelope.subject) not in OVER:
            age = hours(envelope.time, past.now)
            long = "4: 7 to 30 days" if age < 720 else "5: over 30 days"
            name = next((name for bound, name in bounds if age < bound), long)
            queue_id = past.queue(envelope.subject, past.now)
            groups[queue_id, name].append((envelope.subject, envelope.time))
    rows = []
    for queue_id, age_name in sorted(groups, key=lambda key: (past.by_name(key[0]), key[1])):
        found = [ticket_id for ticket_id, _ in groups[queue_id, age_name]]
        wrote = [
            past.latest(
                t, past.now, "TicketOpened", "CustomerReplied", "AutomaticMessageAdded", "OperatorReplied"
            )
            for t in found
        ]
        rows.append(
            {
                "queue_id": queue_id,
                "queue": past.names[queue_id],
                "age": age_name,
                "tickets": len(found),
                "with_nobody": sum(past.assignee(t, past.now) is None for t in found),
                "our_turn": sum(hasattr(f, "message") and f.message.kind == "human" for f in wrote),
                "waiting": sum(past.stage(t).startswith("waiting") for t in found),
                "overdue": sum((t, past.cycle(t)) in late for t in found),
                "oldest_opened_at": min(at for _, at in groups[queue_id, age_name]),
            }
        )
    return rows


def clocks(past: Past) -> dict[tuple[UUID, str, int], Row]:
    """Every clock as sla left it."""
    found: dict[tuple[UUID, str, int], Row] = {}
    states = {
        "ClockStarted": "running",
        "ClockPaused": "paused",
        "ClockResumed": "running",
        "ClockMet": "met",
        "ClockCancelled": "cancelled",
    }
    for envelope, fact in past.events:
        if envelope.owner != "sla" or not hasattr(fact, "clock"):
            continue
        told: Any = fact
        kind = type(fact).__name__
        clock = found.setdefault(
            (envelope.subject, told.clock, told.cycle), {"moment": None, "reason": None, "elapsed": None}
        )
        clock["state"] = states.get(kind, clock.get("state"))
        if kind != "SlaWarned":
            clock["due"] = getattr(told, "due_at", clock.get("due"))
        clock["policy"] = told.basis.policy_id if hasattr(told, "basis") else clock["policy"]
        if kind == "SlaBreached" or getattr(told, "breached", False):
            clock["moment"] = clock["moment"] or told.due_at
        if kind == "ClockMet":
            clock["elapsed"] = told.elapsed_seconds
        if kind == "ClockCancelled":
            clock["reason"] = told.reason
    return found


def is_late(clock: Row, now: datetime) -> bool:
    return clock["moment"] is not None or (clock["state"] == "running" and clock["due"] <= now)


def utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
