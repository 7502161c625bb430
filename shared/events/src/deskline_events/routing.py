"""Events that routing announces: decisions under the ticket's id; operators, teams, queues under theirs."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.conditions import Circumstances, Conditions
from deskline_events.facts import Code, Fact, Language, Value
from deskline_events.personal import Personal
from deskline_events.tickets import AssignmentNo, WithdrawalReason

Strategy = Literal["longest_idle"]
Rejection = Literal[
    "left", "offline", "away", "at_capacity", "skill_missing", "declined", "timed_out", "not_in_team"
]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Attempt = Annotated[int, Field(ge=1, description="decisions on this ticket under this assignment_no, from 1")]


class ConsideredQueue(Value):
    """A queue that was looked at, in order, and why it was not the one; nothing unmet: it was chosen."""

    queue_id: UUID
    unmet: tuple[str, ...] = ()


class Candidate(Value):
    """An operator who was looked at, and why they were not the one (null: chosen, or later in the order)."""

    operator_id: UUID
    rejected: Rejection | None = None
    load: Annotated[float, Field(ge=0, description="accepted tickets and open offers, by weight")]
    capacity: Annotated[float, Field(ge=0)]
    last_offered_at: datetime | None = None


class TicketQueued(Fact):
    """Routing chose the queue of a ticket; tickets answers with TicketRouted or DecisionRefused."""

    TYPE: ClassVar[str] = "deskline.routing.TicketQueued.v1"

    queue_id: UUID
    team_id: UUID | None = None
    assignment_no: AssignmentNo
    circumstances: Circumstances
    considered: tuple[ConsideredQueue, ...]
    fallback: Annotated[bool, Field(description="no queue's conditions held")] = False


class OfferMade(Fact):
    """Routing chose an operator; tickets answers with TicketOffered or DecisionRefused."""

    TYPE: ClassVar[str] = "deskline.routing.OfferMade.v1"

    offer_id: UUID
    queue_id: UUID
    operator_id: UUID
    assignment_no: AssignmentNo
    attempt: Attempt
    until: datetime
    strategy: Strategy
    waiting_since: datetime
    candidates: tuple[Candidate, ...]


class OfferWithdrawn(Fact):
    """Routing takes an open offer back; tickets answers with OfferEnded, or refuses what was accepted."""

    TYPE: ClassVar[str] = "deskline.routing.OfferWithdrawn.v1"

    offer_id: UUID
    operator_id: UUID
    assignment_no: AssignmentNo
    reason: WithdrawalReason


class NobodyAvailable(Fact):
    """Nobody could be offered the ticket: it waits in its queue until somebody can."""

    TYPE: ClassVar[str] = "deskline.routing.NobodyAvailable.v1"

    queue_id: UUID
    assignment_no: AssignmentNo
    attempt: Attempt
    candidates: tuple[Candidate, ...]


class AssignmentWithdrawn(Fact):
    """An assignee is lost to the ticket; tickets answers with TicketUnassigned or DecisionRefused."""

    TYPE: ClassVar[str] = "deskline.routing.AssignmentWithdrawn.v1"

    operator_id: UUID
    assignment_no: AssignmentNo
    reason: Literal["operator_left", "operator_lost"]


class OperatorChanged(Fact):
    """An operator as they are now; the stream is the operator's id."""

    TYPE: ClassVar[str] = "deskline.routing.OperatorChanged.v1"

    operator_id: UUID
    name: Annotated[str, Personal("operator_id")]
    address: Annotated[str, Personal("operator_id"), Field(description="where they are told, by mail")]
    language: Language
    employed: bool
    team_ids: tuple[UUID, ...] = ()
    skills: tuple[Code, ...] = ()
    capacity: Annotated[float, Field(ge=0)]


class TeamChanged(Fact):
    """A team as it is now; the stream is the team's id."""

    TYPE: ClassVar[str] = "deskline.routing.TeamChanged.v1"

    team_id: UUID
    name: Name
    lead_ids: tuple[UUID, ...] = ()
    active: bool = True


class QueueChanged(Fact):
    """A queue as it is now; the stream is its id. The first match by `order`, then by id, is taken."""

    TYPE: ClassVar[str] = "deskline.routing.QueueChanged.v1"

    queue_id: UUID
    name: Name
    team_id: UUID | None = None
    order: Annotated[int, Field(ge=0)]
    conditions: Conditions
    fallback: Annotated[bool, Field(description="takes what matches nowhere; one queue always does")] = False
    strategy: Strategy = "longest_idle"
    skills: Annotated[tuple[Code, ...], Field(description="what an operator must have")] = ()
    accept_seconds: Annotated[int, Field(ge=1, le=7 * 24 * 3600)] = 30 * 60
    active: bool = True
