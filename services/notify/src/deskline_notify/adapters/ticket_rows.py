"""Tickets as rows: read under a lock, brought forward by their facts, written back at once."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, ClassVar, Final
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.tickets import AutomaticMessageAdded, CustomerReplied, TicketOpened
from deskline_notify.adapters.directory import as_json
from deskline_notify.adapters.sealing import Sealed, Sealer
from deskline_notify.domain.cleaning import usable_message_id
from deskline_notify.domain.tickets import Ticket, evolve, opened

MOST_MESSAGE_IDS: Final = 8
_COLUMNS: Final = tuple(one.name for one in fields(Ticket))
_TYPES: Final = (
    "uuid", "bigint", "uuid", "text", "text", "uuid", "text", "boolean", "text", "text", "integer", "text",
    "boolean", "uuid", "uuid",
)  # fmt: skip
_values: Final = attrgetter(*_COLUMNS)
_JSON: Final = ("teams", "assignees", "subject", "message_ids")
_ALL: Final = (*_COLUMNS, *_JSON[2:])
_ARRAYS: Final = ", ".join(f"%b::{type_}[]" for type_ in (*_TYPES, *("text" for _ in _JSON)))
_UPSERT: Final = (
    f"INSERT INTO tickets ({', '.join(_ALL)})"
    f" SELECT {', '.join(f'{column}::jsonb' if column in _JSON else column for column in _ALL)}"
    f" FROM unnest({_ARRAYS}) AS new ({', '.join(_ALL)}) ON CONFLICT (ticket_id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _ALL[1:])
)


class TicketUnknownError(Exception):
    """An event of a ticket that was never opened: its stream doesn't begin with TicketOpened."""

    safe_message: ClassVar[bool] = True


@dataclass(slots=True)
class TicketRow:
    """A ticket with what of it is sealed: its subject, and its mails' ids with the time of each."""

    ticket: Ticket
    subject: Sealed | None
    message_ids: list[dict[str, Any]]


@dataclass(slots=True)
class TicketRows:
    """The rows of a batch; those that changed are written by `save`."""

    connection: Conn
    rows: dict[UUID, TicketRow] = field(default_factory=dict)
    changed: set[UUID] = field(default_factory=set)

    def lock(self, ticket_ids: Collection[UUID]) -> None:
        """Read these, locked in the order of their ids, so that their caps are counted by one at a time."""
        wanted = sorted(set(ticket_ids) - self.rows.keys())
        if not wanted:
            return
        found = self.connection.execute(
            f"SELECT {', '.join(_ALL)} FROM tickets WHERE ticket_id = ANY(%b) ORDER BY ticket_id FOR UPDATE",
            (wanted,),
        ).fetchall()
        for row in found:
            self.rows[row[0]] = TicketRow(Ticket(*row[:-2]), row[-2], row[-1])

    def apply(self, sealer: Sealer, envelope: Envelope, fact: Fact) -> Ticket:
        """Bring a ticket forward; raises TicketUnknownError."""
        ticket_id = envelope.subject
        row = self.rows.get(ticket_id)
        if isinstance(fact, TicketOpened):
            subject = sealer.seal(fact.contact_id, ticket_id, "subject", fact.subject)
            row = self.rows[ticket_id] = TicketRow(opened(ticket_id, fact), subject, [])
        elif row is None:
            raise TicketUnknownError(f"ticket {ticket_id} has no TicketOpened before this event")
        elif not evolve(row.ticket, fact, envelope.time):
            return row.ticket
        if isinstance(fact, TicketOpened | CustomerReplied | AutomaticMessageAdded):
            self._note_message_id(row, sealer, envelope, fact)
        self.changed.add(ticket_id)
        return row.ticket

    @staticmethod
    def _note_message_id(
        row: TicketRow,
        sealer: Sealer,
        envelope: Envelope,
        fact: TicketOpened | CustomerReplied | AutomaticMessageAdded,
    ) -> None:
        usable = None if fact.message.message_id is None else usable_message_id(fact.message.message_id)
        sealed = sealer.seal(fact.contact_id, envelope.id, "message_id", usable)
        if sealed is None:
            return
        row.message_ids.append({"event": str(envelope.id), "at": envelope.time.isoformat(), "id": sealed})
        if len(row.message_ids) > MOST_MESSAGE_IDS:
            del row.message_ids[1]  # the first names the thread, the last are what is answered

    def save(self) -> None:
        """Write what changed."""
        rows = [self.rows[ticket_id] for ticket_id in sorted(self.changed)]
        if rows:
            values: Sequence[tuple[Any, ...]] = [
                (
                    *_values(row.ticket)[:-2],
                    json.dumps(row.ticket.teams),
                    json.dumps(row.ticket.assignees),
                    as_json(row.subject),
                    json.dumps(row.message_ids),
                )
                for row in rows
            ]
            self.connection.execute(_UPSERT, [list(column) for column in zip(*values, strict=True)])
        self.changed.clear()
