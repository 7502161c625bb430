"""The shapes of routing: operators, teams, queues, presence, offers and explanations."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from deskline_events.conditions import Conditions
from deskline_events.facts import Code, Language, Priority
from deskline_events.routing import Strategy
from deskline_gateway.api.contract.shared import (
    BAD_CURSOR,
    UNKNOWN,
    Answered,
    Asked,
    Name,
    News,
    PageQuery,
    Shape,
)

Presence = Literal["online", "away", "offline"]
Version = Annotated[int, Field(ge=1, description="raised by each change")]
Capacity = Annotated[float, Field(ge=0, description="tickets at a time, by weight")]


class OperatorBody(Asked):
    """An operator as they should be known."""

    name: Name
    address: Annotated[str, Field(max_length=254, description="where they are told, by mail")]
    language: Language = "ru"
    employed: bool = True
    team_ids: tuple[UUID, ...] = ()
    skills: tuple[Code, ...] = ()
    capacity: Capacity = 5


class Operator(Answered):
    """An operator as they are known."""

    operator_id: UUID
    version: Version
    name: str
    address: Annotated[str | None, Field(description="for administrators only")] = None
    language: Language
    employed: bool
    team_ids: list[UUID]
    skills: list[str]
    capacity: Capacity
    presence: Presence
    load: float
    last_offered_at: AwareDatetime | None


class OperatorsPage(Answered):
    """Operators."""

    items: list[Operator]
    next_cursor: str | None


class TeamBody(Asked):
    """A team as it should be."""

    name: Name
    lead_ids: tuple[UUID, ...] = ()
    active: bool = True


class Team(Answered):
    """A team as it is."""

    team_id: UUID
    version: Version
    name: str
    lead_ids: list[UUID]
    active: bool


class TeamsPage(Answered):
    """Teams."""

    items: list[Team]
    next_cursor: str | None


class QueueBody(Asked):
    """A queue as it should be; the first whose conditions hold, by `order`, takes a ticket."""

    name: Name
    team_id: UUID | None = None
    order: Annotated[int, Field(ge=0)]
    conditions: Conditions = Conditions()
    fallback: Annotated[bool | None, Field(description="takes what matches nowhere; told, never chosen")] = (
        None
    )
    strategy: Strategy = "longest_idle"
    skills: tuple[Code, ...] = ()
    accept_seconds: Annotated[int, Field(ge=1, le=604_800)] = 1800
    active: bool = True


class Queue(Answered):
    """A queue as it is."""

    queue_id: UUID
    version: Version
    name: str
    team_id: UUID | None
    order: int
    conditions: Conditions
    fallback: bool
    strategy: Strategy
    skills: list[Code]
    accept_seconds: int
    active: bool


class QueuesPage(Answered):
    """Queues."""

    items: list[Queue]
    next_cursor: str | None


class PresenceBody(Asked):
    """The caller's own; sent again before it expires, it is the heartbeat."""

    state: Presence


class PresenceNow(Answered):
    """The caller's presence, and when it ends unless it is sent again."""

    state: Presence
    expires_at: AwareDatetime


class Offer(Answered):
    """A ticket that the caller is asked to take."""

    ticket_id: UUID
    offer_id: UUID
    queue_id: UUID | None
    until: AwareDatetime


class Offers(Answered):
    """The caller's open offers."""

    items: list[Offer]


class Waiting(Answered):
    """A ticket that nobody could be offered yet."""

    ticket_id: UUID
    waiting_since: AwareDatetime
    level: int
    priority: Priority
    assignment_no: int


class WaitingPage(Answered):
    """Tickets that wait in a queue, the oldest first."""

    items: list[Waiting]
    next_cursor: str | None


class Decision(Answered):
    """A decision with all that it rested on, as it was announced."""

    sequence: int
    type: str
    at: AwareDatetime
    causation_id: UUID | None
    decision: dict[str, Any]


class DecisionsPage(Answered):
    """Why a ticket came to its queue and its operator: candidates, rejections, the choice and its input."""

    items: list[Decision]
    next_cursor: str | None


SHAPES: Final[Mapping[str, Shape]] = {
    "list_operators": Shape("Operators", OperatorsPage, query=PageQuery, refusals=BAD_CURSOR),
    "read_operator": Shape("An operator", Operator, versioned=True, refusals=UNKNOWN),
    "put_operator": Shape("Add or change an operator", Operator, body=OperatorBody, versioned=True),
    "list_teams": Shape("Teams", TeamsPage, query=PageQuery, refusals=BAD_CURSOR),
    "read_team": Shape("A team", Team, versioned=True, refusals=UNKNOWN),
    "put_team": Shape("Add or change a team", Team, body=TeamBody, versioned=True),
    "list_queues": Shape("Queues", QueuesPage, query=PageQuery, refusals=BAD_CURSOR),
    "read_queue": Shape("A queue", Queue, versioned=True, refusals=UNKNOWN),
    "put_queue": Shape("Add or change a queue", Queue, body=QueueBody, versioned=True),
    "set_presence": Shape("Say that one is here, away or gone", PresenceNow, body=PresenceBody),
    "list_offers": Shape("The caller's open offers", Offers),
    "list_waiting": Shape(
        "Tickets that wait in a queue", WaitingPage, query=PageQuery, refusals=UNKNOWN | BAD_CURSOR
    ),
    "read_decisions": Shape(
        "Why a ticket was routed so", DecisionsPage, query=PageQuery, refusals=UNKNOWN | BAD_CURSOR
    ),
    "watch_queue": Shape(
        "Hear when something happens in a queue",
        News,
        refusals=UNKNOWN,
        told="tickets of the queue (up to 500 that stood in it at the beginning, and those that came since)",
    ),
}
