"""What people send, checked before anything is done."""

import re
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from deskline_chassis.bodies import Body
from deskline_events.conditions import Conditions
from deskline_events.facts import Code, Language
from deskline_events.routing import OperatorChanged, QueueChanged, Strategy, TeamChanged
from deskline_routing.domain.ids import FALLBACK_QUEUE
from deskline_routing.domain.office import PresenceState

MOST_LISTED: Final = 200
MOST_CAPACITY: Final = 100_000
_ADDRESS: Final = re.compile(r"^[^@\s]{1,64}@[^@\s]{1,253}$")


def _is_text(value: str) -> str:
    if value != value.strip() or not value.isprintable():
        raise ValueError("must be printable text without spaces around it")
    return value


def _is_address(value: str) -> str:
    if not _ADDRESS.fullmatch(value) or not value.isprintable():
        raise ValueError("must be a mail address")
    return value


def _is_short(value: Conditions) -> Conditions:
    if any(isinstance(listed, tuple) and len(listed) > MOST_LISTED for _, listed in value):
        raise ValueError(f"each list has at most {MOST_LISTED} entries")
    return value


Text = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_is_text)]
Address = Annotated[str, Field(max_length=254), AfterValidator(_is_address)]
Ids = Annotated[list[UUID], Field(max_length=MOST_LISTED)]
Skills = Annotated[list[Code], Field(max_length=MOST_LISTED)]


class StrictConditions(Conditions):
    """Conditions as people give them: a misspelt one would match everything."""

    model_config = ConfigDict(extra="forbid")


class OperatorBody(Body):
    name: Text
    address: Address
    language: Language = "ru"
    employed: Annotated[bool, Field(strict=True)] = True
    team_ids: Ids = Field([])
    skills: Skills = Field([])
    capacity: Annotated[float, Field(strict=True, ge=0, le=MOST_CAPACITY, allow_inf_nan=False)] = 5

    def fact(self, operator_id: UUID) -> OperatorChanged:
        """The operator as they are to be."""
        lists = {
            "team_ids": tuple(sorted(set(self.team_ids))),
            "skills": tuple(sorted(set(self.skills))),
        }
        return OperatorChanged(operator_id=operator_id, **(self.model_dump() | lists))


class TeamBody(Body):
    name: Text
    lead_ids: Ids = Field([])
    active: Annotated[bool, Field(strict=True)] = True

    def fact(self, team_id: UUID) -> TeamChanged:
        """The team as it is to be."""
        leads = tuple(sorted(set(self.lead_ids)))
        return TeamChanged(team_id=team_id, name=self.name, lead_ids=leads, active=self.active)


class QueueBody(Body):
    name: Text
    team_id: UUID | None = None
    order: Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
    conditions: Annotated[StrictConditions, AfterValidator(_is_short)] = StrictConditions()
    fallback: Annotated[bool | None, Field(strict=True, description="told, never chosen")] = None
    strategy: Strategy = "longest_idle"
    skills: Skills = Field([])
    accept_seconds: Annotated[int, Field(strict=True, ge=1, le=7 * 24 * 3600)] = 30 * 60
    active: Annotated[bool, Field(strict=True)] = True

    def fact(self, queue_id: UUID) -> QueueChanged:
        """The queue as it is to be."""
        fallback = self.fallback if self.fallback is not None else queue_id == FALLBACK_QUEUE
        given = self.model_dump(exclude={"conditions"}) | {
            "queue_id": queue_id,
            "conditions": Conditions.model_validate(self.conditions.model_dump()),
            "skills": tuple(sorted(set(self.skills))),
            "fallback": fallback,
        }
        return QueueChanged(**given)


class PresenceBody(Body):
    state: PresenceState
