"""What routing answers over HTTP."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from deskline_events.conditions import Conditions
from deskline_events.facts import Language
from deskline_events.routing import Strategy

PresenceShown = Literal["online", "away", "offline"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class OperatorShown(_Answer):
    """An operator; the address is shown to admins only."""

    operator_id: UUID
    version: int
    name: str
    address: str | None = None
    language: Language
    employed: bool
    team_ids: list[UUID]
    skills: list[str]
    capacity: float
    presence: PresenceShown
    load: float
    last_offered_at: datetime | None


class TeamShown(_Answer):
    """A team."""

    team_id: UUID
    version: int
    name: str
    lead_ids: list[UUID]
    active: bool


class QueueShown(_Answer):
    """A queue."""

    queue_id: UUID
    version: int
    name: str
    team_id: UUID | None
    order: int
    conditions: Conditions
    fallback: bool
    strategy: Strategy
    skills: list[str]
    accept_seconds: int
    active: bool


class OperatorPage(_Answer):
    items: list[OperatorShown]
    next_cursor: str | None


class TeamPage(_Answer):
    items: list[TeamShown]
    next_cursor: str | None


class QueuePage(_Answer):
    items: list[QueueShown]
    next_cursor: str | None


class PresenceAnswer(_Answer):
    """What a heartbeat is answered: who was set away by routing reads so here."""

    state: PresenceShown
    expires_at: datetime


class OfferShown(_Answer):
    """A ticket that is offered to me."""

    ticket_id: UUID
    offer_id: UUID
    queue_id: UUID | None
    until: datetime


class Offers(_Answer):
    items: list[OfferShown]


class WaitingShown(_Answer):
    """A ticket that nobody could be offered yet."""

    ticket_id: UUID
    waiting_since: datetime
    level: int
    priority: str
    assignment_no: int


class WaitingPage(_Answer):
    items: list[WaitingShown]
    next_cursor: str | None


class DecisionShown(_Answer):
    """A decision with all that it rested on, as it was announced."""

    sequence: int
    type: str
    at: datetime
    causation_id: UUID | None
    decision: dict[str, Any]


class DecisionPage(_Answer):
    items: list[DecisionShown]
    next_cursor: str | None
