"""Events that routing announces: decisions under the ticket's id; operators, teams, queues under theirs."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from deskline_events.conditions import Circumstances, Conditions
from deskline_events.facts import Code, Fact, Language, OfferId, OperatorId, QueueId, Value
from deskline_events.personal import Personal
from deskline_events.tickets import AssignmentNo, WithdrawalReason

Strategy = Literal["longest_idle"]
Rejection = Literal[
    "left", "offline", "away", "at_capacity", "skill_missing", "declined", "timed_out", "not_in_team"
]
Name = Annotated[str, Field(min_length=1, max_length=100, description="name, for people")]
Attempt = Annotated[int, Field(ge=1, description="decisions on this ticket under this assignment_no, from 1")]


class ConsideredQueue(Value):
    """A queue that was looked at, in order, and why it was not the one; nothing unmet: it was chosen."""

    queue_id: QueueId
    unmet: Annotated[tuple[str, ...], Field(description="names of its conditions that did not hold")] = ()


class Candidate(Value):
    """An operator who was looked at, and why they were not the one (null: chosen, or later in the order)."""

    operator_id: OperatorId
    rejected: Annotated[
        Rejection | None, Field(description="why not they; null: chosen, or later in the order")
    ] = None
    load: Annotated[float, Field(ge=0, description="accepted tickets and open offers, by weight")]
    capacity: Annotated[float, Field(ge=0, description="load that they may have at most")]
    last_offered_at: Annotated[
        datetime | None, Field(description="when they were last offered a ticket; null: never")
    ] = None


class TicketQueued(Fact):
    """Routing chose the queue of a ticket; tickets answers with TicketRouted or DecisionRefused."""

    TYPE: ClassVar[str] = "deskline.routing.TicketQueued.v1"

    queue_id: QueueId
    team_id: Annotated[UUID | None, Field(description="team of that queue; null: everybody's")] = None
    assignment_no: AssignmentNo
    circumstances: Annotated[Circumstances, Field(description="the ticket as it was decided on")]
    considered: Annotated[
        tuple[ConsideredQueue, ...], Field(description="queues in the order in which they were looked at")
    ]
    fallback: Annotated[bool, Field(description="no queue's conditions held")] = False


class OfferMade(Fact):
    """Routing chose an operator; tickets answers with TicketOffered or DecisionRefused."""

    TYPE: ClassVar[str] = "deskline.routing.OfferMade.v1"

    offer_id: Annotated[UUID, Field(description="id of the offer")]
    queue_id: QueueId
    operator_id: OperatorId
    assignment_no: AssignmentNo
    attempt: Attempt
    until: Annotated[datetime, Field(description="when it will be withdrawn")]
    strategy: Annotated[Strategy, Field(description="by which the operator was chosen")]
    waiting_since: Annotated[datetime, Field(description="since when the ticket waits in the queue")]
    candidates: Annotated[
        tuple[Candidate, ...], Field(description="operators in the order in which they were looked at")
    ]


class OfferWithdrawn(Fact):
    """Routing takes an open offer back; tickets answers with OfferEnded, or refuses what was accepted."""

    TYPE: ClassVar[str] = "deskline.routing.OfferWithdrawn.v1"

    offer_id: OfferId
    operator_id: OperatorId
    assignment_no: AssignmentNo
    reason: Annotated[WithdrawalReason, Field(description="time ran out, or the operator is not there")]


class NobodyAvailable(Fact):
    """Nobody could be offered the ticket: it waits in its queue until somebody can."""

    TYPE: ClassVar[str] = "deskline.routing.NobodyAvailable.v1"

    queue_id: QueueId
    assignment_no: AssignmentNo
    attempt: Attempt
    candidates: Annotated[tuple[Candidate, ...], Field(description="operators, each with why not they")]


class AssignmentWithdrawn(Fact):
    """An assignee is lost to the ticket; tickets answers with TicketUnassigned or DecisionRefused."""

    TYPE: ClassVar[str] = "deskline.routing.AssignmentWithdrawn.v1"

    operator_id: Annotated[UUID, Field(description="the assignee until now")]
    assignment_no: AssignmentNo
    reason: Annotated[
        Literal["operator_left", "operator_lost"], Field(description="why they can't keep the ticket")
    ]


class OperatorChanged(Fact):
    """An operator as they are now; the stream is the operator's id."""

    TYPE: ClassVar[str] = "deskline.routing.OperatorChanged.v1"

    operator_id: Annotated[UUID, Field(description="id of the operator")]
    name: Annotated[str, Personal("operator_id"), Field(description="name, for people")]
    address: Annotated[str, Personal("operator_id"), Field(description="where they are told, by mail")]
    language: Annotated[Language, Field(description="language in which they are told")]
    employed: Annotated[bool, Field(description="false: they left, and are offered nothing")]
    team_ids: Annotated[tuple[UUID, ...], Field(description="teams that they are in")] = ()
    skills: Annotated[tuple[Code, ...], Field(description="what they can do")] = ()
    capacity: Annotated[float, Field(ge=0, description="tickets and offers that they may have at most")]


class TeamChanged(Fact):
    """A team as it is now; the stream is the team's id."""

    TYPE: ClassVar[str] = "deskline.routing.TeamChanged.v1"

    team_id: Annotated[UUID, Field(description="id of the team")]
    name: Name
    lead_ids: Annotated[tuple[UUID, ...], Field(description="operators who lead it")] = ()
    active: Annotated[bool, Field(description="false: it is no longer used")] = True


class QueueChanged(Fact):
    """A queue as it is now; the stream is its id. The first match by `order`, then by id, is taken."""

    TYPE: ClassVar[str] = "deskline.routing.QueueChanged.v1"

    queue_id: Annotated[UUID, Field(description="id of the queue")]
    name: Name
    team_id: Annotated[
        UUID | None, Field(description="whose members are offered its tickets; null: everybody is")
    ] = None
    order: Annotated[int, Field(ge=0, description="place among the queues, the lowest first")]
    conditions: Annotated[Conditions, Field(description="tickets that belong into it")]
    fallback: Annotated[bool, Field(description="takes what matches nowhere; one queue always does")] = False
    strategy: Annotated[Strategy, Field(description="by which an operator is chosen")] = "longest_idle"
    skills: Annotated[tuple[Code, ...], Field(description="what an operator must have")] = ()
    accept_seconds: Annotated[
        int, Field(ge=1, le=7 * 24 * 3600, description="seconds that an offer stays open")
    ] = 30 * 60
    active: Annotated[bool, Field(description="false: it takes no more tickets")] = True
