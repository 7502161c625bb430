"""What handlers need of the world: a desk, which is tickets and their look-ups inside one transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_chassis.idempotency import Answer, KeyedCommand
from deskline_events.facts import Fact
from deskline_tickets.domain.rights import Viewer
from deskline_tickets.domain.ticket import Ticket

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a batch of messages asks for."""

    line_ids: Collection[UUID]
    source_keys: Collection[str]
    message_ids: Collection[bytes]
    numbers: Collection[int]
    ticket_ids: Collection[UUID]


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of it: streams by source key, tickets by id, their ids by Message-ID and by number."""

    sources: dict[str, UUID]
    tickets: dict[UUID, Ticket]
    message_ids: dict[bytes, UUID]
    numbers: dict[int, UUID]


@dataclass(frozen=True, slots=True)
class Change:
    """Facts that follow `version` of a stream, and the ticket as it was before them."""

    stream: UUID
    version: int
    facts: tuple[Fact, ...]
    cause: Cause
    before: Ticket | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """That a message went to a stream; the hash only where its Message-ID is to lead there as well."""

    source_key: str
    stream: UUID
    line_id: UUID
    message_id_hash: bytes | None


@dataclass(frozen=True, slots=True)
class QueueKnown:
    """A queue as routing announced it."""

    team_id: UUID | None
    active: bool


Assignment = tuple[UUID, UUID | None]
"""(operator, queue): whoever has a ticket, and where it stands."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as their identity says."""

    actor_id: UUID
    roles: frozenset[str]
    scope: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Who gives a command, and in what words."""

    caller: Caller
    command: KeyedCommand
    cause: Cause


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came to a ticket, without its words."""

    version: int
    type: str
    at: datetime


class Desk(Protocol):
    """One transaction: warm without locks, lock, then look and save; what was read before is but a hint."""

    def warm(self, wanted: Wanted) -> None:
        """Load what a decision will probably need, so that little is left to do under the lock."""

    def lock(self) -> None:
        """Take the log's lock, to the end of the transaction."""

    def find(self, wanted: Wanted) -> Found:
        """What there is, as of now."""

    def ticket(self, ticket_id: UUID) -> Ticket | None:
        """A ticket, as of now."""

    def now(self) -> datetime:
        """The database's clock."""

    def erased_among(self, persons: Collection[UUID]) -> frozenset[UUID]:
        """Those whose key was destroyed."""

    def viewer(self, caller: Caller) -> Viewer:
        """Who asks, with what the directory knows of them."""

    def queue(self, queue_id: UUID) -> QueueKnown | None:
        """A queue by the directory."""

    def serving(self, assignments: Collection[Assignment]) -> frozenset[Assignment]:
        """Those whose operator is employed and in a team of the queue, by the directory."""

    def take_numbers(self, count: int) -> list[int]:
        """New ticket numbers."""

    def arrived(self, ticket_id: UUID, after: int, up_to: int) -> list[Arrived]:
        """What came to a ticket between two versions."""

    def save(self, changes: Sequence[Change], arrivals: Sequence[Arrival] = ()) -> Mapping[UUID, int]:
        """Append facts and their rows; versions by stream. Raises SequenceTakenError, PersonErasedError."""

    def answered(self, command: KeyedCommand) -> Answer | None:
        """What this command was answered before; raises KeyReused where the key had other words."""

    def remember(self, command: KeyedCommand, answer: Answer) -> None:
        """Keep the answer for whoever asks again."""


class AtDesk(Protocol):
    """Works at a desk, in a transaction that is committed when it returns."""

    def __call__(self, work: Callable[[Desk], Result]) -> Result:
        """What the work gives; its error undoes all that it did, and nothing that others did."""
