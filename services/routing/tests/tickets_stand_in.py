"""A stand-in for tickets: it announces as its relay does, and answers decisions as its aggregate does."""

import os
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from pydantic_core import to_json

from deskline_chassis.decoding import Record
from deskline_chassis.personal_data import PersonKey, seal
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Customer, Fact, Line
from deskline_events.tickets import (
    Actor,
    CustomerMessage,
    DecisionRefused,
    Escalated,
    OfferDeclined,
    OfferEnded,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)
from deskline_local.databases import ServiceDatabase

CONTACT_KEY = b"c" * 32
CONTACT = UUID(int=0xC0)
LINE = UUID(int=0x11E)
TOPIC = "deskline.tickets.events"
PARTITIONS = 4
SYSTEM = Actor(kind="system")


def opened(*, priority: Any = "medium", level: int = 1, **given: Any) -> TicketOpened:
    """A ticket by a person's mail."""
    message = CustomerMessage(
        source_key=uuid4().hex * 2,
        received_at=given.pop("received_at", datetime.now(UTC)),
        kind="human",
        text="Не печатает",
    )
    customer = {"contact_id": CONTACT} | given.pop("customer", {})
    fields: dict[str, Any] = {
        "number": 1,
        "line": Line(line_id=LINE, name="Поддержка", channel="email", language="ru"),
        "contact_id": CONTACT,
        "customer": Customer(**customer),
        "subject": "Принтер",
        "message": message,
        "priority": priority,
        "level": level,
        "reply_token": "t",
    }
    return TicketOpened(**(fields | given))


class Topic:
    """The topic of tickets, as its relay fills it."""

    def __init__(self) -> None:
        self.partitions: dict[int, list[Record]] = {number: [] for number in range(PARTITIONS)}
        self._sequences: dict[UUID, int] = defaultdict(int)
        self._lock = threading.Lock()

    def publish(self, ticket_id: UUID, fact: Fact, time: datetime | None = None) -> Envelope:
        with self._lock:
            sequence = self._sequences[ticket_id] = self._sequences[ticket_id] + 1
            identity = event_id(source_of("tickets"), ticket_id, sequence, 1)
            envelope = Envelope(
                id=identity,
                source=source_of("tickets"),
                type=fact.TYPE,
                time=time or datetime.now(UTC),
                subject=ticket_id,
                sequence=sequence,
                correlation_id=ticket_id,
                causation_id=None,
                epoch=1,
                generation=1,
            )
            data = fact.model_dump(mode="json")
            seal(type(fact), data, identity, {CONTACT: PersonKey(1, CONTACT_KEY)})
            self._append(self.partition_of(ticket_id), ticket_id, to_json(data), tuple(envelope.headers()))
            return envelope

    def repeat(self, ticket_id: UUID) -> None:
        """Announce everything of a ticket once more, as a relay does that crashed."""
        with self._lock:
            number = self.partition_of(ticket_id)
            for record in list(self.partitions[number]):
                if record.key == str(ticket_id).encode():
                    self._append(number, ticket_id, record.value or b"", record.headers)

    def _append(self, number: int, key: UUID, value: bytes, headers: Any) -> None:
        records = self.partitions[number]
        records.append(Record(TOPIC, number, len(records), str(key).encode(), value, headers))

    @staticmethod
    def partition_of(ticket_id: UUID) -> int:
        return ticket_id.int % PARTITIONS


@dataclass
class Aggregate:
    """What tickets would know of a ticket."""

    stage: Any = "new"
    assignment_no: int = 0
    queue_id: UUID | None = None
    assignee_id: UUID | None = None
    offer: Any = None
    level: int = 1


@dataclass
class Tickets:
    """A stand-in for tickets: answers routing's decisions as the aggregate does, and takes commands."""

    topic: Topic
    base: ServiceDatabase
    known: dict[UUID, Aggregate] = field(default_factory=dict)
    read: int = 0

    def open(self, **given: Any) -> UUID:
        ticket_id = UUID(bytes=os.urandom(16))
        self.known[ticket_id] = Aggregate()
        self.topic.publish(ticket_id, opened(**given))
        return ticket_id

    def answer(self) -> int:
        """Answer all decisions that were announced since; how many there were."""
        with psycopg.connect(self.base.owner_url) as connection:
            rows = connection.execute(
                "SELECT id, stream, type, data, sequence FROM events WHERE id > %s ORDER BY id", (self.read,)
            ).fetchall()
        answered = 0
        for number, stream, kind, data, sequence in rows:
            self.read = number
            ticket = self.known.get(stream)
            if ticket is not None:
                name = kind.split(".")[2]
                identity = event_id(source_of("routing"), stream, sequence, 1)
                answered += self._answer(stream, ticket, name, data, identity)
        return answered

    def _answer(self, ticket_id: UUID, ticket: Aggregate, name: str, data: Any, identity: UUID) -> int:
        right = data["assignment_no"] == ticket.assignment_no
        if name == "NobodyAvailable":
            return 0
        if name == "TicketQueued":
            if not right or ticket.stage in {"resolved", "closed"}:
                return self.refuse(ticket_id, "queue", identity)
            ticket.queue_id = UUID(data["queue_id"])
            self.say(
                ticket_id,
                TicketRouted(queue_id=ticket.queue_id, actor=SYSTEM, assignment_no=ticket.assignment_no),
            )
        elif name == "OfferMade":
            if not right or ticket.assignee_id or ticket.offer or ticket.stage in {"resolved", "closed"}:
                return self.refuse(ticket_id, "offer", identity, UUID(data["offer_id"]))
            ticket.offer = {key: data[key] for key in ("offer_id", "operator_id")}
            named = {key: data[key] for key in ("offer_id", "operator_id", "queue_id", "until")}
            self.say(ticket_id, TicketOffered(**named, assignment_no=ticket.assignment_no))
        elif name == "OfferWithdrawn":
            if ticket.offer is None or ticket.offer["offer_id"] != data["offer_id"]:
                return self.refuse(ticket_id, "withdrawal", identity, UUID(data["offer_id"]))
            self.end_offer(ticket_id, data["reason"])
        elif name == "AssignmentWithdrawn":
            if not right or str(ticket.assignee_id) != data["operator_id"]:
                return self.refuse(ticket_id, "unassignment", identity)
            self.unassign(ticket_id, data["reason"])
        return 1

    def say(self, ticket_id: UUID, fact: Fact) -> None:
        self.topic.publish(ticket_id, fact)

    def refuse(self, ticket_id: UUID, decision: Any, identity: UUID, offer_id: UUID | None = None) -> int:
        ticket = self.known[ticket_id]
        fact = DecisionRefused(
            decision=decision,
            decision_id=identity,
            offer_id=offer_id,
            reason="stale",
            stage=ticket.stage,
            assignee_id=ticket.assignee_id,
            assignment_no=ticket.assignment_no,
        )
        self.say(ticket_id, fact)
        return 1

    def end_offer(self, ticket_id: UUID, reason: Any) -> None:
        ticket = self.known[ticket_id]
        self.say(ticket_id, OfferEnded(**ticket.offer, reason=reason, assignment_no=ticket.assignment_no))
        ticket.offer = None

    def decline(self, ticket_id: UUID) -> None:
        ticket = self.known[ticket_id]
        self.say(ticket_id, OfferDeclined(**ticket.offer, assignment_no=ticket.assignment_no))
        ticket.offer = None

    def accept(self, ticket_id: UUID, operator_id: UUID | None = None) -> UUID:
        """Accept the open offer, or (by another operator) take it."""
        ticket = self.known[ticket_id]
        mine = ticket.offer is not None and operator_id in {None, UUID(ticket.offer["operator_id"])}
        offer_id = ticket.offer["offer_id"] if mine else None
        operator = operator_id or UUID(ticket.offer["operator_id"])
        if ticket.offer is not None and not mine:
            self.end_offer(ticket_id, "ticket_moved")
        ticket.offer, ticket.assignee_id = None, operator
        ticket.assignment_no += 1
        actor = Actor(kind="operator", id=operator)
        no = ticket.assignment_no
        fact = TicketAccepted(operator_id=operator, offer_id=offer_id, actor=actor, assignment_no=no)
        self.say(ticket_id, fact)
        if ticket.stage == "new":
            self.stage(ticket_id, "in_progress")
        return operator

    def stage(self, ticket_id: UUID, stage: Any) -> None:
        ticket = self.known[ticket_id]
        if ticket.offer is not None:
            self.end_offer(ticket_id, "ticket_moved")
        before, ticket.stage = ticket.stage, stage
        ticket.assignment_no += 1
        no = ticket.assignment_no
        self.say(ticket_id, StageChanged(before=before, after=stage, actor=SYSTEM, cycle=1, assignment_no=no))

    def unassign(self, ticket_id: UUID, reason: Any = "given_back") -> None:
        ticket = self.known[ticket_id]
        operator, ticket.assignee_id = ticket.assignee_id, None
        ticket.assignment_no += 1
        no = ticket.assignment_no
        assert operator is not None
        self.say(
            ticket_id, TicketUnassigned(operator_id=operator, reason=reason, actor=SYSTEM, assignment_no=no)
        )

    def escalate(self, ticket_id: UUID, level: int, preferred: UUID | None = None) -> None:
        ticket = self.known[ticket_id]
        if ticket.offer is not None:
            self.end_offer(ticket_id, "ticket_moved")
        if ticket.assignee_id is not None:
            self.unassign(ticket_id, "escalated")
        before, ticket.level = ticket.level, level
        ticket.assignment_no += 1
        fact = Escalated(
            before=before,
            after=level,
            reason="manual",
            actor=SYSTEM,
            assignment_no=ticket.assignment_no,
            preferred_operator_id=preferred,
        )
        self.say(ticket_id, fact)

    def route(self, ticket_id: UUID, queue_id: UUID) -> None:
        """A person chooses the queue."""
        ticket = self.known[ticket_id]
        if ticket.offer is not None:
            self.end_offer(ticket_id, "ticket_moved")
        if ticket.assignee_id is not None:
            self.unassign(ticket_id, "queue_changed")
        ticket.queue_id = queue_id
        ticket.assignment_no += 1
        person = Actor(kind="operator", id=uuid4())
        no = ticket.assignment_no
        self.say(ticket_id, TicketRouted(queue_id=queue_id, actor=person, assignment_no=no))

    def holder(self, ticket_id: UUID) -> UUID | None:
        offer = self.known[ticket_id].offer
        return None if offer is None else UUID(offer["operator_id"])
