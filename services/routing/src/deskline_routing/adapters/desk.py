"""The desk over PostgreSQL: one transaction's rows, deadlines and log."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from deskline_chassis.deadlines import Deadline, Deadlines
from deskline_chassis.event_log import Appended, Cause, EventLog, NewEvent
from deskline_chassis.postgres import Conn, Database
from deskline_events.facts import Fact
from deskline_events.routing import (
    NobodyAvailable,
    OfferMade,
    OperatorChanged,
    QueueChanged,
    TeamChanged,
    TicketQueued,
)
from deskline_routing.adapters import directory_rows, ticket_rows
from deskline_routing.domain.office import Office, Operator, PresenceState
from deskline_routing.domain.ticket import Ticket
from deskline_routing.ports import KeptOperator, KeptQueue, KeptTeam, Place, Presence, Told

OFFER_TIMEOUT: Final = "offer_timeout"
"""The kind of deadline; its subject is the ticket, its key the offer."""

AfterCommit = list[Callable[[], None]]


class PostgresDesk:
    """One transaction; what is to happen once it is committed goes to `after_commit`."""

    def __init__(self, connection: Conn, log: EventLog, after_commit: AfterCommit) -> None:
        self._connection = connection
        self._log = log
        self._deadlines = Deadlines(log)
        self._after_commit = after_commit

    def lock(self) -> None:
        self._log.lock(self._connection)

    def now(self) -> datetime:
        row = self._connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
        now: datetime = row[0]
        return now

    def office(self) -> Office:
        return Office(directory_rows.operators(self._connection), directory_rows.queues(self._connection))

    def tickets(self, ticket_ids: Collection[UUID]) -> dict[UUID, Ticket]:
        return {one.ticket_id: one for one in ticket_rows.by_ids(self._connection, ticket_ids)}

    def held_by(self, operator_ids: Collection[UUID]) -> list[Ticket]:
        return ticket_rows.held_by(self._connection, operator_ids)

    def waiting_in(self, queue_ids: Collection[UUID], after: Place | None, limit: int) -> list[Ticket]:
        return ticket_rows.waiting_in(self._connection, queue_ids, after, limit)

    def astray(self, active: Collection[UUID], after: UUID | None, limit: int) -> list[Ticket]:
        return ticket_rows.astray(self._connection, active, after, limit)

    def save(
        self, told: Sequence[Told], tickets: Collection[Ticket], operators: Collection[Operator]
    ) -> None:
        changed = {ticket.ticket_id: ticket for ticket in tickets}
        appended = self._append([NewEvent(one.ticket_id, one.fact, one.cause) for one in told])
        for event in appended:
            changed[event.stream] = _with_decision(changed[event.stream], event)
        self._decide(appended, changed)
        ticket_rows.write(self._connection, changed.values())
        directory_rows.write_turns(self._connection, operators)
        self._arm(appended, changed)

    def set_away(self, operator_ids: Collection[UUID]) -> None:
        directory_rows.set_away(self._connection, operator_ids)

    def out_of_reach(self) -> list[UUID]:
        return directory_rows.out_of_reach(self._connection)

    def operator(self, operator_id: UUID) -> KeptOperator | None:
        return directory_rows.announced_operators(self._connection, self._log, [operator_id]).get(operator_id)

    def team(self, team_id: UUID) -> KeptTeam | None:
        return directory_rows.team(self._connection, team_id)

    def queue(self, queue_id: UUID) -> KeptQueue | None:
        return directory_rows.queue(self._connection, queue_id)

    def missing_teams(self, team_ids: Collection[UUID]) -> list[UUID]:
        rows = self._connection.execute(
            "SELECT wanted FROM unnest(%s::uuid[]) AS wanted"
            " WHERE NOT EXISTS (SELECT FROM teams WHERE team_id = wanted AND active)",
            (list(team_ids),),
        ).fetchall()
        return [row[0] for row in rows]

    def put_operator(self, fact: OperatorChanged, cause: Cause) -> int:
        self._log.keys.register(self._connection, [fact.operator_id])
        version = self._announce(fact.operator_id, fact, cause)
        directory_rows.write_operator(self._connection, fact, version)
        return version

    def put_team(self, fact: TeamChanged, cause: Cause) -> int:
        version = self._announce(fact.team_id, fact, cause)
        directory_rows.write_team(self._connection, fact, version)
        return version

    def put_queue(self, fact: QueueChanged, cause: Cause) -> int:
        version = self._announce(fact.queue_id, fact, cause)
        directory_rows.write_queue(self._connection, fact, version)
        return version

    def erase(self, operator_id: UUID) -> None:
        if self._log.keys.erase(self._connection, operator_id):
            self._after_commit.append(self._log.ring)

    def beat(self, operator_id: UUID, state: PresenceState, period: float) -> Presence | None:
        return directory_rows.beat(self._connection, operator_id, state, period)

    def change_presence(self, operator_id: UUID, state: PresenceState, period: float) -> Presence | None:
        return directory_rows.change_presence(self._connection, operator_id, state, period)

    def _announce(self, stream: UUID, fact: Fact, cause: Cause) -> int:
        return self._append([NewEvent(stream, fact, cause)])[0].sequence

    def _append(self, events: Sequence[NewEvent]) -> list[Appended]:
        if events:
            self._after_commit.append(self._log.ring)
        return self._log.append(self._connection, events)

    def _arm(self, appended: Sequence[Appended], tickets: dict[UUID, Ticket]) -> None:
        made = {event.stream for event in appended if isinstance(event.fact, OfferMade)}
        # What another database once decided has no deadline here yet.
        made |= {one for one, ticket in tickets.items() if ticket.offer and ticket.offer.decision_id is None}
        if made:
            self._deadlines.arm(self._connection, [_timeout(tickets[one]) for one in sorted(made)])

    def _decide(self, appended: Sequence[Appended], tickets: dict[UUID, Ticket]) -> None:
        """One decision per ticket, number and attempt: a second one breaks the table's key."""
        rows = [
            (event.stream, number, kind, attempt, event.id)
            for event in appended
            if (found := _decision(tickets[event.stream], event.fact)) is not None
            for number, kind, attempt in [found]
        ]
        if rows:
            self._connection.execute(
                "INSERT INTO decisions (ticket_id, assignment_no, kind, attempt, event_id)"
                " SELECT * FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::int[], %s::uuid[])",
                tuple(list(column) for column in zip(*rows, strict=True)),
            )


def _with_decision(ticket: Ticket, event: Appended) -> Ticket:
    if isinstance(event.fact, TicketQueued):
        return replace(ticket, asked_id=event.id)
    if isinstance(event.fact, OfferMade) and ticket.offer is not None:
        return replace(ticket, offer=replace(ticket.offer, decision_id=event.id))
    return ticket


def _decision(ticket: Ticket, fact: Fact) -> tuple[int, str, int] | None:
    if isinstance(fact, TicketQueued):
        return fact.assignment_no, "queue", ticket.queue_attempt
    if isinstance(fact, OfferMade | NobodyAvailable):
        return fact.assignment_no, "operator", fact.attempt
    return None


def _timeout(ticket: Ticket) -> Deadline:
    offer = ticket.offer
    assert offer is not None  # noqa: S101 -- the caller looked
    return Deadline(OFFER_TIMEOUT, ticket.ticket_id, str(offer.offer_id), 1, offer.until)


class Desks:
    """Opens desks for commands, each in a transaction of its own."""

    def __init__(self, database: Database, log: EventLog) -> None:
        self._database = database
        self._log = log

    @contextmanager
    def open(self) -> Iterator[PostgresDesk]:
        """A desk; committed at the end, rolled back on an error."""
        after_commit: AfterCommit = []
        with self._database.transaction() as connection:
            yield PostgresDesk(connection, self._log, after_commit)
        for follow in after_commit:
            follow()
