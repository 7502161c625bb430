"""The office as a decision sees it: operators with their load, queues in order; offers change it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from deskline_events.conditions import Conditions
from deskline_events.routing import Candidate
from deskline_routing.domain.ids import FALLBACK_QUEUE

PresenceState = Literal["online", "away", "offline"]


@dataclass(slots=True)
class Operator:
    """Somebody who may be offered tickets; `load` is accepted tickets and open offers, each of weight 1."""

    operator_id: UUID
    team_ids: frozenset[UUID] = frozenset()
    skills: frozenset[str] = frozenset()
    capacity: float = 1.0
    employed: bool = True
    presence: PresenceState = "offline"
    load: float = 0.0
    last_offered_at: datetime | None = None
    timeouts: int = 0

    @property
    def has_room(self) -> bool:
        """Whether one ticket more stays within the capacity."""
        return self.load + 1 <= self.capacity

    @property
    def available(self) -> bool:
        """Whether they could be offered something at all."""
        return self.employed and self.presence == "online" and self.has_room


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as it is now."""

    queue_id: UUID
    name: str = ""
    team_id: UUID | None = None
    order: int = 0
    conditions: Conditions = field(default_factory=Conditions)
    skills: frozenset[str] = frozenset()
    accept_seconds: int = 30 * 60
    active: bool = True

    @property
    def fallback(self) -> bool:
        """Whether it takes what matches nowhere."""
        return self.queue_id == FALLBACK_QUEUE

    def is_served_by(self, operator: Operator) -> bool:
        """Whether the operator is one of its team (without a team: anybody) and has its skills."""
        in_team = self.team_id is None or self.team_id in operator.team_ids
        return in_team and self.skills <= operator.skills


class Office:
    """Everybody who is or was employed, and every active queue."""

    def __init__(self, operators: Iterable[Operator], queues: Iterable[Queue]) -> None:
        self.operators = {one.operator_id: one for one in operators}
        self.queues = {one.queue_id: one for one in queues if one.active}
        self.in_order = sorted(
            (one for one in self.queues.values() if not one.fallback),
            key=lambda one: (one.order, one.queue_id),
        )
        self._of_team: dict[UUID | None, list[Operator]] = {}
        self.seen: dict[tuple[object, ...], Candidate] = {}

    def team(self, team_id: UUID | None) -> list[Operator]:
        """Who is employed in a team; None: everywhere."""
        found = self._of_team.get(team_id)
        if found is None:
            employed = (one for one in self.operators.values() if one.employed)
            found = [one for one in employed if team_id is None or team_id in one.team_ids]
            self._of_team[team_id] = found
        return found

    def carry(self, operator_ids: Iterable[UUID], weight: float) -> None:
        """Change the load of operators."""
        for operator_id in operator_ids:
            operator = self.operators.get(operator_id)
            if operator is not None:
                operator.load += weight

    def team_for(self, queue_id: UUID | None, operator_id: UUID) -> UUID | None:
        """The team by which an operator holds a ticket of a queue; None where no team is why."""
        queue = None if queue_id is None else self.queues.get(queue_id)
        operator = self.operators.get(operator_id)
        if queue is None or operator is None or queue.team_id not in operator.team_ids:
            return None
        return queue.team_id

    def is_lost(self, operator_id: UUID, team_id: UUID | None) -> bool:
        """Whether who held a ticket by that team left the company, or the team.

        Somebody who was never registered here has not left: they took it by themselves.
        """
        operator = self.operators.get(operator_id)
        if operator is None:
            return False
        return not operator.employed or (team_id is not None and team_id not in operator.team_ids)

    def served_by(self, operator_ids: Collection[UUID]) -> tuple[list[UUID], int]:
        """The queues that these operators could take something from now, and how much they have room for."""
        free = [one for name in operator_ids if (one := self.operators.get(name)) and one.available]
        queues = [
            queue.queue_id for queue in self.queues.values() if any(queue.is_served_by(one) for one in free)
        ]
        return queues, int(sum(min(one.capacity - one.load, 10_000) for one in free))

    def longest_idle_first(self, operators: Iterable[Operator]) -> list[Operator]:
        """By the last offer, whatever its end: never offered first, ties by id."""
        return sorted(
            operators,
            key=lambda one: (
                one.last_offered_at is not None,
                one.last_offered_at or _NEVER,
                one.operator_id,
            ),
        )


_NEVER = datetime.min  # noqa: DTZ901 -- stands beside no other time: the flag before it decides
