"""Row → answer: lists, one ticket, its timeline and the flow report; each says how fresh it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row

from deskline_analytics.domain.cursors import Place
from deskline_chassis.postgres import Conn

AsOf = dict[str, datetime | None]
Answer = dict[str, Any]

_TICKET: Final = (
    "ticket_id, number, subject, stage, priority, level, cycle, line_id, line_name, channel, contact_id,"
    " company_id, tier, locale, open, opened_at, changed_at, first_customer_at, last_customer_at,"
    " first_operator_at, last_operator_at, last_message_kind, customer_messages, operator_messages,"
    " automatic_messages, notes, reopened, resolved_at, closed_at, closing_reason, waiting_until, version"
)
_COUNTS: Final = (
    "received",
    "opened",
    "customer_replies",
    "operator_replies",
    "automatic",
    "resolved",
    "reopened",
    "closed",
    "set_aside",
)
_CONDITIONS: Final = {
    "stage": "stage = %(stage)s",
    "priority": "priority = %(priority)s",
    "line_id": "line_id = %(line_id)s",
    "open": "open = %(open)s",
    "number": "number = %(number)s",
    "opened_from": "opened_at >= %(opened_from)s",
    "opened_to": "opened_at < %(opened_to)s",
}


@dataclass(frozen=True, slots=True)
class Days:
    """A range of days of a zone, both ends included."""

    first: date
    last: date
    zone: str


def freshness(connection: Conn, owners: tuple[str, ...]) -> AsOf:
    """The time of the latest applied event per owner; ask before the rows, so that it promises too little."""
    found: AsOf = dict(connection.execute("SELECT owner, as_of FROM freshness").fetchall())
    return {owner: found.get(owner) for owner in owners}


def list_tickets(
    connection: Conn, filters: Mapping[str, Any], after: Place | None, limit: int
) -> tuple[list[Answer], Place | None]:
    """A page in the order (opened_at, ticket_id), and the place to go on from where there is more.

    `filters` maps names of `_CONDITIONS` to values; what is None doesn't filter.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    conditions = [_CONDITIONS[name] for name in given]
    if after is not None:
        conditions.append("(opened_at, ticket_id) > (%(after_time)s, %(after_id)s)")
        given |= {"after_time": after.opened_at, "after_id": after.ticket_id}
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = _dicts(
        connection,
        f"SELECT {_TICKET} FROM open_tickets{where} ORDER BY opened_at, ticket_id LIMIT %(one_more)s",
        given | {"one_more": limit + 1},
    )
    page = rows[:limit]
    more = len(rows) > limit
    return page, Place(page[-1]["opened_at"], page[-1]["ticket_id"]) if more else None


def ticket_by_number(connection: Conn, number: int) -> Answer | None:
    """The ticket of this number."""
    rows = _dicts(
        connection,
        f"SELECT {_TICKET} FROM open_tickets WHERE number = %(number)s ORDER BY ticket_id LIMIT 1",
        {"number": number},
    )
    return rows[0] if rows else None


def timeline(connection: Conn, ticket_id: UUID, after: int, limit: int) -> tuple[list[Answer], bool]:
    """Events of a ticket above a sequence, and whether there are more."""
    rows = _dicts(
        connection,
        "SELECT sequence, event_id, type, time, actor_kind, actor_id, causation_id, correlation_id, details"
        " FROM ticket_timeline WHERE ticket_id = %(ticket_id)s AND sequence > %(after)s"
        " ORDER BY sequence LIMIT %(one_more)s",
        {"ticket_id": ticket_id, "after": after, "one_more": limit + 1},
    )
    return rows[:limit], len(rows) > limit


def ticket_exists(connection: Conn, ticket_id: UUID) -> bool:
    """Whether the ticket is known here."""
    found = connection.execute("SELECT FROM open_tickets WHERE ticket_id = %s", (ticket_id,))
    return found.fetchone() is not None


def zone_exists(connection: Conn, zone: str) -> bool:
    """Whether the database knows the zone by this name; PostgreSQL alone would also take `foo+3`."""
    found = connection.execute("SELECT FROM pg_timezone_names WHERE name = %s", (zone,))
    return found.fetchone() is not None


def daily_flow(connection: Conn, days: Days) -> list[Answer]:
    """Counts per day of the zone and line; days on which nothing happened have no row."""
    sums = ", ".join(f"sum(f.{name})::bigint AS {name}" for name in _COUNTS)
    return _dicts(
        connection,
        "SELECT (f.bucket AT TIME ZONE %(zone)s)::date AS date, f.line_id, l.name AS line_name, l.channel,"
        f" {sums} FROM daily_flow f LEFT JOIN lines l USING (line_id)"
        " WHERE f.bucket >= %(first)s::timestamp AT TIME ZONE %(zone)s"
        " AND f.bucket < (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2",
        {"zone": days.zone, "first": days.first, "last": days.last},
    )


def total(rows: list[Answer]) -> dict[str, int]:
    """The sums over rows of `daily_flow`."""
    return {name: sum(row[name] for row in rows) for name in _COUNTS}


def _dicts(connection: Conn, query: str, values: Mapping[str, Any]) -> list[Answer]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()
