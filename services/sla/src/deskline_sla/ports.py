"""What handlers need of the world: a desk, which is rules, tickets and clocks inside one transaction."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from deskline_chassis.deadlines import Deadline
from deskline_chassis.event_log import Cause, NewEvent
from deskline_events.sla import CalendarChanged, PolicyChanged
from deskline_events.tickets import Actor
from deskline_sla.domain.clock import Clock
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.watched import WatchedTicket

Unsettled = Literal["parked", "waiting"]
"""Why not everything that was read of a stream was applied."""

RuleReason = Literal["policy", "calendar"]


@dataclass(frozen=True, slots=True)
class Watching:
    """A watched ticket, the partition that its events come by, and what its firings are caused by."""

    ticket: WatchedTicket
    partition: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Change:
    """What of a ticket is to be kept: its row, these clocks, what fires later and what does not any more."""

    watching: Watching
    clocks: Sequence[Clock] = ()
    arm: Sequence[Deadline] = ()
    cancel: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Recalculation:
    """A changed rule that is to apply to open clocks, and up to which ticket it does already."""

    change_id: int
    rule_id: UUID
    reason: RuleReason
    at: datetime
    actor: Actor | None
    cause: Cause
    after: UUID


class ClockDesk(Protocol):
    """One transaction; what is read before `lock` is but a hint."""

    def lock(self) -> None:
        """Take the log's lock, to the end of the transaction."""

    def now(self) -> datetime:
        """The database's clock."""

    def book(self) -> RuleBook:
        """All rules, as of now; not to be asked again after a put in the same transaction."""

    def find(self, ticket_ids: Collection[UUID]) -> dict[UUID, Watching]:
        """The tickets that are watched, with all their clocks."""

    def save(self, events: Sequence[NewEvent], changes: Sequence[Change]) -> None:
        """Announce, and keep the rows."""

    def complete_until(self, partition: int) -> datetime | None:
        """Up to when all that tickets committed to this partition was read; None: not known."""

    def announced_until(self) -> datetime | None:
        """The newest moment that tickets announced a watermark for; None: not known."""

    def unsettled(self, ticket_ids: Collection[UUID]) -> dict[UUID, Unsettled]:
        """Tickets of which something was read and not applied; asked after `complete_until`."""

    def put_rules(
        self, rules: Sequence[PolicyChanged | CalendarChanged], cause: Cause
    ) -> tuple[int, datetime]:
        """Keep and announce new versions, in this order; the last one's number and time of commit."""

    def plan(self, recalculation: Recalculation) -> None:
        """Let changed rules apply to open clocks."""

    def planned(self) -> Recalculation | None:
        """The oldest recalculation that is not done."""

    def open_tickets(self, after: UUID, limit: int) -> list[UUID]:
        """Tickets with an open clock, by id."""

    def keep_progress(self, change_id: int, after: UUID | None) -> None:
        """A recalculation was applied up to this ticket; None: to all of them."""


OpenDesk = Callable[[], AbstractContextManager[ClockDesk]]
"""A desk in a transaction of its own, committed at the end."""
