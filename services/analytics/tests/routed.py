"""Stories with operators and queues: what routing decides, and how tickets answers."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from services.analytics.tests.story import BEGIN, Story

from deskline_events import routing
from deskline_events.conditions import Circumstances, Conditions
from deskline_events.tickets import (
    Actor,
    DecisionRefused,
    Escalated,
    OfferDeclined,
    OfferEnded,
    TicketAccepted,
    TicketOffered,
    TicketRouted,
    TicketUnassigned,
)

SYSTEM = Actor(kind="system")


@dataclass
class Course:
    """Where a ticket is on its way."""

    number: int = 0
    attempt: int = 0
    offer: tuple[UUID, UUID, UUID] | None = None  # offer, operator, event that made it
    assignee: UUID | None = None
    level: int = 1
    clocks: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)


@dataclass
class Routed(Story):
    """A story with operators, teams and queues."""

    operators: list[UUID] = field(default_factory=list)
    teams: list[UUID] = field(default_factory=list)
    queues: list[UUID] = field(default_factory=list)
    courses: dict[UUID, Course] = field(default_factory=dict)

    def staff(self) -> Self:
        """Two teams with a queue each and two operators each; one operator leads the first."""
        for name in ("first", "second"):
            team_id, queue_id, pair = self.new_id(), self.new_id(), [self.new_id(), self.new_id()]
            for operator_id in pair:
                self.operators.append(operator_id)
                self.introduce(operator_id, team_id)
            self.teams.append(team_id)
            self.queues.append(queue_id)
            self.say(
                "routing", team_id, routing.TeamChanged(team_id=team_id, name=name, lead_ids=tuple(pair[:1]))
            )
            fact = routing.QueueChanged(
                queue_id=queue_id,
                name=name,
                team_id=team_id,
                order=len(self.queues),
                conditions=Conditions(languages=("ru",)),
                skills=("printers", "networks"),
            )
            self.say("routing", queue_id, fact)
        return self

    def introduce(self, operator_id: UUID, *teams: UUID, employed: bool = True) -> None:
        fact = routing.OperatorChanged(
            operator_id=operator_id,
            name=f"{self.canary} name",
            address=f"{self.canary}@example.org",
            language="ru",
            employed=employed,
            team_ids=teams,
            capacity=2.5,
        )
        self.say("routing", operator_id, fact)

    def somebody(self) -> UUID:
        return self.random.choice(self.operators) if self.operators else self.new_id()

    def course(self, ticket_id: UUID) -> Course:
        return self.courses.setdefault(ticket_id, Course())

    # Routing

    def enqueue(self, ticket_id: UUID, queue: int = 0, *, refused: bool = False) -> None:
        course, line = self.course(ticket_id), self.tickets[ticket_id].line
        queue_id, team_id = self.queues[queue], self.teams[queue]
        decision = self.say(
            "routing",
            ticket_id,
            routing.TicketQueued(
                queue_id=queue_id,
                team_id=team_id,
                assignment_no=course.number,
                circumstances=Circumstances(
                    line_id=line.line_id, channel="email", language="ru", level=1, priority="low"
                ),
                considered=(routing.ConsideredQueue(queue_id=queue_id),),
            ),
        )
        if refused:
            self.refuse(ticket_id, "queue", decision)
            return
        number = course.number
        fact = TicketRouted(queue_id=queue_id, team_id=team_id, actor=SYSTEM, assignment_no=number)
        self.say("tickets", ticket_id, fact, decision)

    def requeue(self, ticket_id: UUID, queue: int) -> None:
        """A person chooses the queue."""
        course = self.course(ticket_id)
        course.number += 1
        fact = TicketRouted(
            queue_id=self.queues[queue],
            team_id=self.teams[queue],
            actor=Actor(kind="operator", id=self.somebody()),
            assignment_no=course.number,
        )
        self.say("tickets", ticket_id, fact)

    def offer(self, ticket_id: UUID, operator_id: UUID | None = None, *, refused: bool = False) -> None:
        course = self.course(ticket_id)
        offer_id, chosen, queue_id = self.new_id(), operator_id or self.somebody(), self.queues[0]
        course.attempt += 1
        until = BEGIN + timedelta(days=1)
        decision = self.say(
            "routing",
            ticket_id,
            routing.OfferMade(
                offer_id=offer_id,
                queue_id=queue_id,
                operator_id=chosen,
                assignment_no=course.number,
                attempt=course.attempt,
                until=until,
                strategy="longest_idle",
                waiting_since=BEGIN,
                candidates=self.candidates(),
            ),
        )
        if refused:
            self.refuse(ticket_id, "offer", decision, offer_id)
            return
        course.offer = offer_id, chosen, decision
        fact = TicketOffered(
            offer_id=offer_id, operator_id=chosen, queue_id=queue_id, until=until, assignment_no=course.number
        )
        self.say("tickets", ticket_id, fact, decision)

    def offer_of(self, ticket_id: UUID) -> UUID | None:
        offer = self.course(ticket_id).offer
        return None if offer is None else offer[0]

    def candidates(self) -> tuple[routing.Candidate, ...]:
        return tuple(
            routing.Candidate(operator_id=one, rejected="offline", load=0.5, capacity=2)
            for one in self.operators
        )

    def nobody(self, ticket_id: UUID) -> None:
        course = self.course(ticket_id)
        course.attempt += 1
        fact = routing.NobodyAvailable(
            queue_id=self.queues[0], assignment_no=course.number, attempt=course.attempt, candidates=()
        )
        self.say("routing", ticket_id, fact)

    def accept(self, ticket_id: UUID, *, withdrawn_meanwhile: bool = False) -> None:
        course = self.course(ticket_id)
        if course.offer is None:
            self.offer(ticket_id)
        assert course.offer is not None
        offer_id, operator_id, _ = course.offer
        course.number += 1
        course.offer, course.assignee, course.attempt = None, operator_id, 0
        actor = Actor(kind="operator", id=operator_id)
        fact = TicketAccepted(
            operator_id=operator_id, offer_id=offer_id, actor=actor, assignment_no=course.number
        )
        self.say("tickets", ticket_id, fact)
        if withdrawn_meanwhile:
            late = self.withdraw(ticket_id, offer_id, operator_id)
            self.refuse(ticket_id, "withdrawal", late, offer_id)

    def withdraw(self, ticket_id: UUID, offer_id: UUID, operator_id: UUID) -> UUID:
        number = self.course(ticket_id).number
        fact = routing.OfferWithdrawn(
            offer_id=offer_id, operator_id=operator_id, assignment_no=number, reason="timed_out"
        )
        return self.say("routing", ticket_id, fact)

    def decline(self, ticket_id: UUID) -> None:
        course = self.course(ticket_id)
        if course.offer is not None:
            offer_id, operator_id, _ = course.offer
            course.offer = None
            fact = OfferDeclined(
                offer_id=offer_id, operator_id=operator_id, reason="busy", assignment_no=course.number
            )
            self.say("tickets", ticket_id, fact)

    def end_offer(self, ticket_id: UUID, *, moved: bool = False) -> None:
        course = self.course(ticket_id)
        if course.offer is not None:
            offer_id, operator_id, _ = course.offer
            course.offer = None
            cause = None if moved else self.withdraw(ticket_id, offer_id, operator_id)
            fact = OfferEnded(
                offer_id=offer_id,
                operator_id=operator_id,
                reason="ticket_moved" if moved else "timed_out",
                assignment_no=course.number,
            )
            self.say("tickets", ticket_id, fact, cause)

    def lose_assignee(self, ticket_id: UUID) -> None:
        course = self.course(ticket_id)
        if course.assignee is not None:
            gone = routing.AssignmentWithdrawn(
                operator_id=course.assignee, assignment_no=course.number, reason="operator_left"
            )
            self.unassign(ticket_id, "operator_left", self.say("routing", ticket_id, gone))

    def unassign(self, ticket_id: UUID, reason: str, cause: UUID | None = None) -> None:
        course = self.course(ticket_id)
        if course.assignee is not None:
            course.number += 1
            fact = TicketUnassigned.model_validate(
                {
                    "operator_id": course.assignee,
                    "reason": reason,
                    "actor": SYSTEM,
                    "assignment_no": course.number,
                }
            )
            course.assignee = None
            self.say("tickets", ticket_id, fact, cause)

    def escalate(self, ticket_id: UUID) -> None:
        course = self.course(ticket_id)
        if course.level < 3:
            self.unassign(ticket_id, "escalated")
            course.number, course.level = course.number + 1, course.level + 1
            fact = Escalated(
                before=course.level - 1,
                after=course.level,
                reason="manual",
                actor=SYSTEM,
                assignment_no=course.number,
            )
            self.say("tickets", ticket_id, fact)

    def refuse(self, ticket_id: UUID, decision: str, event: UUID, offer_id: UUID | None = None) -> None:
        fact = DecisionRefused.model_validate(
            {
                "decision": decision,
                "decision_id": event,
                "offer_id": offer_id,
                "reason": "outdated",
                "stage": self._stage[ticket_id][0],
                "assignment_no": self.course(ticket_id).number,
            }
        )
        self.say("tickets", ticket_id, fact, event)
