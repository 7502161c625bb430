"""What is asked of routing: operators, teams, queues, offers, who waits, and why it was decided so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row

from deskline_chassis.cursors import read_cursor, write_cursor
from deskline_chassis.event_log import EventLog
from deskline_chassis.postgres import Conn
from deskline_routing.adapters.directory_rows import PRESENT, announced_operators
from deskline_routing.adapters.ticket_rows import LOADS
from deskline_routing.answers import (
    DecisionPage,
    DecisionShown,
    Offers,
    OfferShown,
    OperatorPage,
    OperatorShown,
    QueuePage,
    QueueShown,
    TeamPage,
    TeamShown,
    WaitingPage,
    WaitingShown,
)
from deskline_routing.domain.ids import FALLBACK_QUEUE

MOST_OFFERS: Final = 500


@dataclass(frozen=True, slots=True)
class Belonging:
    """To whom a ticket or a queue belongs: its team, and the operators who have the ticket or its offer."""

    team_id: UUID | None
    operator_ids: frozenset[UUID] = frozenset()


def operators(
    connection: Conn, log: EventLog, cursor: str | None, limit: int, *, with_address: bool
) -> OperatorPage:
    """A page of operators by id. Raises BadCursorError, MissingKeyError, SealError."""
    after = None if cursor is None else read_cursor("operators", cursor, UUID)[0]
    shown = _operators(
        connection,
        log,
        "WHERE %(after)s::uuid IS NULL OR operator_id > %(after)s::uuid ORDER BY operator_id LIMIT %(limit)s",
        {"after": after, "limit": limit + 1},
        with_address=with_address,
    )
    page, more = shown[:limit], len(shown) > limit
    following = write_cursor("operators", page[-1].operator_id) if more else None
    return OperatorPage(items=page, next_cursor=following)


def operator(
    connection: Conn, log: EventLog, operator_id: UUID, *, with_address: bool
) -> OperatorShown | None:
    """One operator. Raises MissingKeyError, SealError."""
    values = {"operator": operator_id}
    found = _operators(connection, log, "WHERE operator_id = %(operator)s", values, with_address=with_address)
    return found[0] if found else None


def teams(connection: Conn, cursor: str | None, limit: int) -> TeamPage:
    """A page of teams by id. Raises BadCursorError."""
    after = None if cursor is None else read_cursor("teams", cursor, UUID)[0]
    rows = _rows(
        connection,
        "SELECT * FROM teams WHERE %(after)s::uuid IS NULL OR team_id > %(after)s::uuid"
        " ORDER BY team_id LIMIT %(limit)s",
        {"after": after, "limit": limit + 1},
    )
    page = [TeamShown(**row) for row in rows[:limit]]
    more = len(rows) > limit
    return TeamPage(items=page, next_cursor=write_cursor("teams", page[-1].team_id) if more else None)


def team(connection: Conn, team_id: UUID) -> TeamShown | None:
    """One team."""
    rows = _rows(connection, "SELECT * FROM teams WHERE team_id = %(team)s", {"team": team_id})
    return TeamShown(**rows[0]) if rows else None


def queues(connection: Conn, cursor: str | None, limit: int) -> QueuePage:
    """A page of queues as they are looked through. Raises BadCursorError."""
    place, after = (None, None) if cursor is None else read_cursor("queues", cursor, int, UUID)
    rows = _rows(
        connection,
        "SELECT * FROM queues WHERE %(place)s::bigint IS NULL"
        " OR (place, queue_id) > (%(place)s::bigint, %(after)s::uuid)"
        " ORDER BY place, queue_id LIMIT %(limit)s",
        {"place": place, "after": after, "limit": limit + 1},
    )
    page = [_queue(row) for row in rows[:limit]]
    more = len(rows) > limit
    following = write_cursor("queues", page[-1].order, page[-1].queue_id) if more else None
    return QueuePage(items=page, next_cursor=following)


def queue(connection: Conn, queue_id: UUID) -> QueueShown | None:
    """One queue."""
    rows = _rows(connection, "SELECT * FROM queues WHERE queue_id = %(queue)s", {"queue": queue_id})
    return _queue(rows[0]) if rows else None


def offers(connection: Conn, operator_id: UUID) -> Offers:
    """What tickets offered to an operator and routing did not withdraw, the first to run out first."""
    rows = _rows(
        connection,
        "SELECT ticket_id, offer_id, queue_id, offer_until AS until FROM tickets"
        " WHERE offer_operator_id = %(operator)s AND offer_id IS NOT NULL AND NOT offer_withdrawn"
        " AND offer_seen_at IS NOT NULL ORDER BY offer_until, ticket_id LIMIT %(limit)s",
        {"operator": operator_id, "limit": MOST_OFFERS},
    )
    return Offers(items=[OfferShown(**row) for row in rows])


def waiting(connection: Conn, queue_id: UUID, cursor: str | None, limit: int) -> WaitingPage:
    """A page of the tickets that wait in a queue, the oldest first. Raises BadCursorError."""
    listed = f"waiting {queue_id}"
    since, after = (None, None) if cursor is None else read_cursor(listed, cursor, datetime, UUID)
    rows = _rows(
        connection,
        "SELECT ticket_id, waiting_since, circumstances->>'level' AS level,"
        " circumstances->>'priority' AS priority, assignment_no FROM tickets"
        " WHERE waiting AND queue_id = %(queue)s AND (%(since)s::timestamptz IS NULL"
        " OR (waiting_since, ticket_id) > (%(since)s::timestamptz, %(after)s::uuid))"
        " ORDER BY waiting_since, ticket_id LIMIT %(limit)s",
        {"queue": queue_id, "since": since, "after": after, "limit": limit + 1},
    )
    page = [WaitingShown(**row) for row in rows[:limit]]
    more = len(rows) > limit
    following = write_cursor(listed, page[-1].waiting_since, page[-1].ticket_id) if more else None
    return WaitingPage(items=page, next_cursor=following)


def decisions(connection: Conn, ticket_id: UUID, cursor: str | None, limit: int) -> DecisionPage:
    """A page of what was decided about a ticket, from the first decision on. Raises BadCursorError."""
    listed = f"decisions {ticket_id}"
    after = 0 if cursor is None else read_cursor(listed, cursor, int)[0]
    rows = _rows(
        connection,
        "SELECT sequence, type, time AS at, causation_id, data AS decision FROM events"
        " WHERE stream = %(ticket)s AND sequence > %(after)s ORDER BY sequence LIMIT %(limit)s",
        {"ticket": ticket_id, "after": after, "limit": limit + 1},
    )
    page = [DecisionShown(**(row | {"type": row["type"].split(".")[2]})) for row in rows[:limit]]
    more = len(rows) > limit
    return DecisionPage(items=page, next_cursor=write_cursor(listed, page[-1].sequence) if more else None)


def teams_of(connection: Conn, operator_id: UUID) -> frozenset[UUID]:
    """The teams that a person is in or leads."""
    rows = connection.execute(
        "SELECT unnest(team_ids) FROM operators WHERE operator_id = %(operator)s AND employed"
        " UNION SELECT team_id FROM teams WHERE %(operator)s = ANY(lead_ids)",
        {"operator": operator_id},
    ).fetchall()
    return frozenset(row[0] for row in rows)


def belonging_of_queue(connection: Conn, queue_id: UUID) -> Belonging | None:
    """A queue's team; None where there is no such queue."""
    row = connection.execute("SELECT team_id FROM queues WHERE queue_id = %s", (queue_id,)).fetchone()
    return None if row is None else Belonging(row[0])


def belonging_of_ticket(connection: Conn, ticket_id: UUID) -> Belonging | None:
    """A ticket's team and holders; None where routing knows no such ticket."""
    row = connection.execute(
        "SELECT team_id, assignee_id, offer_operator_id FROM tickets LEFT JOIN queues USING (queue_id)"
        " WHERE ticket_id = %s",
        (ticket_id,),
    ).fetchone()
    return None if row is None else Belonging(row[0], frozenset(one for one in row[1:] if one is not None))


def _operators(
    connection: Conn, log: EventLog, where: str, values: dict[str, Any], *, with_address: bool
) -> list[OperatorShown]:
    rows = _rows(
        connection,
        f"SELECT o.operator_id, coalesce({PRESENT}, 'offline') AS presence,"
        " coalesce(load, 0) AS load, last_offered_at FROM operators o CROSS JOIN listening l"
        f" LEFT JOIN presence p USING (operator_id) LEFT JOIN ({LOADS}) AS loads USING (operator_id) {where}",
        values,
    )
    kept = announced_operators(connection, log, [row["operator_id"] for row in rows])
    return [
        OperatorShown(
            version=kept[row["operator_id"]].version,
            **kept[row["operator_id"]].fact.model_dump(exclude=set() if with_address else {"address"}),
            **{name: row[name] for name in ("presence", "load", "last_offered_at")},
        )
        for row in rows
    ]


def _queue(row: dict[str, Any]) -> QueueShown:
    own = {name: row[name] for name in row if name != "place"}
    return QueueShown(
        **own, order=row["place"], fallback=row["queue_id"] == FALLBACK_QUEUE, strategy="longest_idle"
    )


def _rows(connection: Conn, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values).fetchall()
