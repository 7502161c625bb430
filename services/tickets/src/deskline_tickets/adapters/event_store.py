"""The event log as the `eventsourcing` library's store: its recorder works in the caller's transaction.

The library's own PostgreSQL module is not used: it opens connections of its own, retries, locks a table
and makes tables. Nor is its Repository: it reads one aggregate a query, and an immutable aggregate in its
cache is brought forward anew each time and never kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from eventsourcing.persistence import AggregateRecorder, JSONTranscoder, Mapper, StoredEvent
from pydantic_core import from_json

from deskline_chassis.event_log import Appended, Cause, EventLog, NewEvent
from deskline_chassis.personal_data import Keys, unseal
from deskline_chassis.postgres import Conn, Row
from deskline_events.envelope import event_id, source_of
from deskline_events.facts import Fact
from deskline_events.personal import persons_in, visit_personal
from deskline_tickets.domain.events import STORED

SOURCE: Final = source_of("tickets")
COLUMNS: Final = (
    "e.stream, e.sequence, e.type, e.data::text, e.time, e.generation, e.correlation_id, e.causation_id"
)


class UnknownFact(Fact):
    """An event of a newer release: it counts in the version and tells nothing else."""


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """A stored event in its place: what the library calls a domain event."""

    originator_id: UUID
    originator_version: int
    type: str
    fact: Fact
    time: datetime
    cause: Cause


@dataclass(frozen=True)
class StoredFact(StoredEvent):
    """A row of the log; `state` is its data, personal fields sealed."""

    time: datetime
    generation: int
    cause: Cause


@dataclass(frozen=True)
class DraftedFact(StoredEvent):
    """A fact that is to become a row; the log seals it and stamps it when it is appended."""

    fact: Fact
    cause: Cause


def stored_fact(row: Row) -> StoredFact:
    """A row of COLUMNS."""
    stream, sequence, kind, data, time, generation, correlation_id, causation_id = row
    cause = Cause(correlation_id, causation_id)
    return StoredFact(stream, sequence, kind, data.encode(), time, generation, cause)


class FactMapper(Mapper[UUID]):
    """Stored rows to facts and back; without keys personal fields read as empty, which is all a state needs.

    An event's stored type is a constant and no class path, so modules may be renamed.
    """

    def __init__(self, keys: Keys | None = None) -> None:
        super().__init__(JSONTranscoder())
        self._keys = keys

    def to_stored_event(self, domain_event: Any) -> DraftedFact:
        """What the recorder is to append."""
        event = cast("TicketEvent", domain_event)
        return DraftedFact(
            originator_id=event.originator_id,
            originator_version=event.originator_version,
            topic=event.type,
            state=b"",
            fact=event.fact,
            cause=event.cause,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """The event; raises pydantic's ValidationError, MissingKeyError, SealError."""
        stored = cast("StoredFact", stored_event)
        stream = cast("UUID", stored.originator_id)
        return TicketEvent(
            stream,
            stored.originator_version,
            stored.topic,
            self._fact(stored, stream),
            stored.time,
            stored.cause,
        )

    def _fact(self, stored: StoredFact, stream: UUID) -> Fact:
        model = STORED.get(stored.topic)
        if model is None:
            return UnknownFact()
        data: dict[str, Any] = from_json(stored.state)
        if self._keys is None:
            visit_personal(model, data, lambda _subject, _path, _sealed: "")
        else:
            identity = event_id(SOURCE, stream, stored.originator_version, stored.generation)
            unseal(model, data, identity, self._keys)
        return model.model_validate(data)


def persons_of(stored: StoredEvent) -> set[UUID]:
    """The persons whose keys are needed to read a row."""
    model = STORED.get(stored.topic)
    return set() if model is None else {UUID(one) for one in persons_in(model, from_json(stored.state))}


@dataclass(slots=True)
class JoinedRecorder(AggregateRecorder):
    """Reads and appends on the caller's connection, in the caller's transaction; commits nothing itself."""

    connection: Conn
    log: EventLog
    appended: list[Appended] = field(default_factory=list)

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> None:
        """Append through the log, whose lock the caller holds; raises what EventLog.append raises."""
        drafted = [cast("DraftedFact", one) for one in stored_events]
        self.appended += self.log.append(
            self.connection,
            [
                NewEvent(cast("UUID", one.originator_id), one.fact, one.cause, one.originator_version)
                for one in drafted
            ],
        )

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """The rows of one stream."""
        rows = self.connection.execute(
            f"SELECT {COLUMNS} FROM events e WHERE e.stream = %(stream)s AND e.sequence > %(gt)s"
            " AND (%(lte)s::bigint IS NULL OR e.sequence <= %(lte)s)"
            f" ORDER BY e.sequence {'DESC' if desc else 'ASC'} LIMIT %(limit)s",
            {"stream": originator_id, "gt": gt or 0, "lte": lte, "limit": limit},
        ).fetchall()
        return [stored_fact(row) for row in rows]

    def select_many(
        self, known: Mapping[UUID, int], snapshot_format: int
    ) -> list[tuple[StoredFact, str | None]]:
        """The rows of many streams in one query, each from the version that is known (0: nothing), with it.

        Where there is a newer snapshot of an event that is still in the log, the rows begin there, and the
        first brings its state.
        """
        # Stream by stream and by the key: a join would be planned by what the tables held once.
        rows = self.connection.execute(
            f"SELECT {COLUMNS}, CASE WHEN e.sequence = s.version THEN s.state::text END"
            " FROM unnest(%(streams)s::uuid[], %(versions)s::bigint[]) AS w (stream, version)"
            " LEFT JOIN LATERAL (SELECT version, state FROM snapshots AS one"
            " WHERE one.ticket_id = w.stream AND one.format = %(format)s AND one.version > w.version"
            " AND EXISTS (SELECT FROM events x WHERE x.stream = one.ticket_id"
            " AND x.sequence = one.version AND x.time = one.time) OFFSET 0) AS s ON true"
            " CROSS JOIN LATERAL (SELECT * FROM events WHERE events.stream = w.stream"
            " AND events.sequence >= coalesce(s.version, w.version) OFFSET 0) AS e"
            " ORDER BY e.stream, e.sequence",
            {"streams": list(known), "versions": list(known.values()), "format": snapshot_format},
        ).fetchall()
        return [(stored_fact(row[:-1]), row[-1]) for row in rows]
