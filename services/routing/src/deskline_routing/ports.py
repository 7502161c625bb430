"""What handlers need of the world: a desk, which is routing's state inside one transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_events.facts import Fact
from deskline_events.routing import OperatorChanged, QueueChanged, TeamChanged
from deskline_routing.domain.office import Office, Operator, PresenceState, Queue
from deskline_routing.domain.ticket import Ticket


@dataclass(frozen=True, slots=True)
class Told:
    """A fact that a ticket's decision announces, and why."""

    ticket_id: UUID
    fact: Fact
    cause: Cause


@dataclass(frozen=True, slots=True)
class KeptOperator:
    """An operator as they were last announced; `erased`: their key is gone, and their name with it."""

    version: int
    fact: OperatorChanged
    erased: bool


@dataclass(frozen=True, slots=True)
class KeptTeam:
    """A team as it was last announced."""

    version: int
    fact: TeamChanged


@dataclass(frozen=True, slots=True)
class KeptQueue:
    """A queue as it was last announced."""

    version: int
    queue: Queue


@dataclass(frozen=True, slots=True)
class Presence:
    """What an operator's heartbeat is answered: None where they aren't employed here."""

    state: PresenceState
    expires_at: datetime


Place = tuple[datetime, UUID]
"""Where a page of waiting tickets ended: waiting_since and id."""


class Desk(Protocol):
    """One transaction; everything but `beat` happens under the log's lock, which `lock` takes."""

    def lock(self) -> None:
        """Take the log's lock, to the end of the transaction."""

    def now(self) -> datetime:
        """The database's clock."""

    def office(self) -> Office:
        """Operators with presence and load, and queues."""

    def tickets(self, ticket_ids: Collection[UUID]) -> dict[UUID, Ticket]:
        """Those of them that are known."""

    def held_by(self, operator_ids: Collection[UUID]) -> list[Ticket]:
        """Live tickets of these assignees, and tickets with an open offer to them."""

    def waiting_in(self, queue_ids: Collection[UUID], after: Place | None, limit: int) -> list[Ticket]:
        """Tickets that wait in these queues, the oldest first."""

    def astray(self, active: Collection[UUID], after: UUID | None, limit: int) -> list[Ticket]:
        """Tickets that no event will wake: refused too often, or waiting in a queue that is no more."""

    def save(
        self, told: Sequence[Told], tickets: Collection[Ticket], operators: Collection[Operator]
    ) -> None:
        """Announce decisions and keep what they changed."""

    def set_away(self, operator_ids: Collection[UUID]) -> None:
        """Set operators away until they say themselves that they are back."""

    def out_of_reach(self) -> list[UUID]:
        """Operators with an open offer who are offline, or whose presence expired."""

    def operator(self, operator_id: UUID) -> KeptOperator | None:
        """An operator, opened."""

    def team(self, team_id: UUID) -> KeptTeam | None:
        """A team."""

    def queue(self, queue_id: UUID) -> KeptQueue | None:
        """A queue."""

    def missing_teams(self, team_ids: Collection[UUID]) -> list[UUID]:
        """Those that are not there, or not active."""

    def put_operator(self, fact: OperatorChanged, cause: Cause) -> int:
        """Announce and keep an operator, giving a new one a key; the version. Raises PersonErasedError."""

    def put_team(self, fact: TeamChanged, cause: Cause) -> int:
        """Announce and keep a team; the version."""

    def put_queue(self, fact: QueueChanged, cause: Cause) -> int:
        """Announce and keep a queue; the version."""

    def erase(self, operator_id: UUID) -> None:
        """Destroy an operator's key."""

    def beat(self, operator_id: UUID, state: PresenceState, period: float) -> Presence | None:
        """Prolong what an employed operator's presence is already; None where it is to change."""

    def change_presence(self, operator_id: UUID, state: PresenceState, period: float) -> Presence | None:
        """Set an employed operator's presence; None where they aren't employed here."""


OpenDesk = Callable[[], AbstractContextManager[Desk]]
"""A desk in a transaction of its own, committed at the end."""

Causes = Mapping[UUID, Cause]
