"""What the relay remembers, one row, and what it reads next; written only by the leader of that term."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

# A leader's connection commits without waiting for the disk: a position that is lost with the server makes
# the same events be announced again, under the same ids. A term and an epoch must not be given twice.
LASTING = "set_config('synchronous_commit', 'on', true)"

Acknowledged = dict[str, tuple[int, str]]
"""`topic/partition` → (offset, `ce_id` or key) of the last record that the broker acknowledged."""


class LeaseLostError(Exception):
    """Another leader took over, or the epoch was raised by a command."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of the event log."""

    id: int
    stream: UUID
    sequence: int
    type: str
    time: datetime
    generation: int
    correlation_id: UUID
    causation_id: UUID | None
    traceparent: str | None
    data: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A change of an owned person's key."""

    change_id: int
    subject: UUID
    version: int | None
    wrapped: bytes | None
    erased_at: datetime | None


@dataclass(slots=True)
class RelayState:
    """Position, epoch and last acknowledged offsets of this leader's term."""

    connection: AsyncConnection[Any]
    term: int
    epoch: int
    generation: int
    position: int
    keys_position: int
    acknowledged: Acknowledged = field(default_factory=dict)

    @classmethod
    async def take_over(cls, connection: AsyncConnection[Any]) -> "RelayState":
        """Begin a new term; the caller holds the leader's lock on this connection."""
        cursor = await connection.execute(
            "UPDATE relay SET term = term + 1 RETURNING term, epoch, position, keys_position, acknowledged,"
            f" (SELECT generation FROM log_head), {LASTING}"
        )
        row = await cursor.fetchone()
        assert row is not None  # noqa: S101 -- the migration wrote the row
        term, epoch, position, keys_position, acknowledged, generation, _ = row
        return cls(
            connection,
            term,
            epoch,
            generation,
            position,
            keys_position,
            {place: (offset, identity) for place, (offset, identity) in acknowledged.items()},
        )

    async def refresh(self) -> None:
        """Raise LeaseLostError if somebody else took over or raised the epoch."""
        cursor = await self.connection.execute("SELECT term, epoch FROM relay")
        if await cursor.fetchone() != (self.term, self.epoch):
            raise LeaseLostError("another term or epoch")

    async def advance(self, position: int, keys_position: int, acknowledged: Acknowledged) -> None:
        """Remember what the broker acknowledged; raises LeaseLostError."""
        cursor = await self.connection.execute(
            "UPDATE relay SET position = %s, keys_position = %s, acknowledged = acknowledged || %s::jsonb"
            " WHERE term = %s AND epoch = %s",
            (position, keys_position, json.dumps(acknowledged), self.term, self.epoch),
        )
        if cursor.rowcount != 1:
            raise LeaseLostError("another term or epoch")
        self.position, self.keys_position = position, keys_position
        self.acknowledged |= acknowledged

    async def raise_epoch(self) -> None:
        """Begin to announce everything anew, in one statement; a crash half way resumes there."""
        cursor = await self.connection.execute(
            "UPDATE relay SET epoch = epoch + 1, position = 0, keys_position = 0, acknowledged = '{}'"
            f" WHERE term = %s AND epoch = %s RETURNING epoch, {LASTING}",
            (self.term, self.epoch),
        )
        row = await cursor.fetchone()
        if row is None:
            raise LeaseLostError("another term or epoch")
        self.epoch, _ = row
        self.position = self.keys_position = 0
        self.acknowledged = {}

    async def depth(self) -> int:
        """Events of the log that are not acknowledged yet (an upper bound, ids may have gaps)."""
        cursor = await self.connection.execute("SELECT coalesce(max(id), 0) FROM events")
        row = await cursor.fetchone()
        return max(0, int(row[0]) - self.position) if row else 0


async def read_events(state: RelayState, limit: int) -> list[StoredEvent]:
    """The next events after the position; ids are committed in their order, so none is missed."""
    cursor = await state.connection.execute(
        "SELECT id, stream, sequence, type, time, generation, correlation_id, causation_id, traceparent,"
        " data::text FROM events WHERE id > %s ORDER BY id LIMIT %s",
        (state.position, limit),
    )
    return [StoredEvent(*row) for row in await cursor.fetchall()]


async def read_keys(state: RelayState, limit: int) -> list[StoredKey]:
    """The next changes of owned keys after the position."""
    cursor = await state.connection.execute(
        "SELECT change_id, subject, version, wrapped, erased_at FROM person_keys"
        " WHERE change_id > %s ORDER BY change_id LIMIT %s",
        (state.keys_position, limit),
    )
    return [StoredKey(*row) for row in await cursor.fetchall()]
