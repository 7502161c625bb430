"""Reports: sums over rows that are kept for them; none reads events."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from deskline_analytics.queries.answering import Answer, dicts
from deskline_chassis.postgres import Conn
from deskline_events.sla import ClockName

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
_LOAD: Final = ("offered", "accepted", "declined", "timed_out", "replies", "resolved")
_CURRENT: Final = ("open_tickets", "open_offers")
_IN_DAYS: Final = (
    "{0} >= %(first)s::timestamp AT TIME ZONE %(zone)s"
    " AND {0} < (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s"
)
# Merged and spam are outside every report; an abandoned ticket is a breach: silence must be seen.
_CLOCKS: Final = (
    "SELECT (s.due_at AT TIME ZONE %(zone)s)::date AS date, s.state, s.elapsed_seconds,"
    " s.breached OR (s.state = 'running' AND s.due_at <= %(now)s)"
    " OR (s.state = 'cancelled' AND 'abandoned' IN (s.cancel_reason, t.stage)) AS late"
    " FROM sla_outcomes s LEFT JOIN open_tickets t USING (ticket_id)"
    f" WHERE s.clock = %(clock)s AND {_IN_DAYS.format('s.due_at')}"
    " AND t.stage IS DISTINCT FROM 'merged' AND t.stage IS DISTINCT FROM 'spam'"
    " AND (s.cancel_reason IS NULL OR s.cancel_reason NOT IN ('merged', 'spam'))"
)


@dataclass(frozen=True, slots=True)
class Days:
    """A range of days of a zone, both ends included."""

    first: date
    last: date
    zone: str


def zone_exists(connection: Conn, zone: str) -> bool:
    """Whether the database knows the zone by this name; PostgreSQL alone would also take `foo+3`."""
    found = connection.execute("SELECT FROM pg_timezone_names WHERE name = %s", (zone,))
    return found.fetchone() is not None


def daily_flow(connection: Conn, days: Days) -> list[Answer]:
    """Counts per day of the zone and line; days on which nothing happened have no row."""
    sums = ", ".join(f"sum(f.{name})::bigint AS {name}" for name in _COUNTS)
    return dicts(
        connection,
        "SELECT (f.bucket AT TIME ZONE %(zone)s)::date AS date, f.line_id, l.name AS line_name, l.channel,"
        f" {sums} FROM daily_flow f LEFT JOIN lines l USING (line_id) WHERE {_IN_DAYS.format('f.bucket')}"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2",
        {"zone": days.zone, "first": days.first, "last": days.last},
    )


def total(rows: list[Answer]) -> dict[str, int]:
    """The sums over rows of `daily_flow`."""
    return {name: sum(row[name] for row in rows) for name in _COUNTS}


def sla_report(connection: Conn, days: Days, clock: ClockName, now: datetime) -> list[Answer]:
    """Clocks by due date, per day of the zone and (date null) in all; elapsed in business seconds.

    `now` decides which open clocks are overdue.
    """
    elapsed = "WITHIN GROUP (ORDER BY elapsed_seconds) FILTER (WHERE state = 'met')"
    return dicts(
        connection,
        "SELECT date, count(*) FILTER (WHERE state = 'met' AND NOT late) AS met,"
        " count(*) FILTER (WHERE late) AS breached,"
        " count(*) FILTER (WHERE state IN ('running', 'paused') AND NOT late) AS pending,"
        " count(*) FILTER (WHERE state = 'met') AS n,"
        f" percentile_cont(0.5) {elapsed} AS median, percentile_cont(0.9) {elapsed} AS p90,"
        " (avg(elapsed_seconds) FILTER (WHERE state = 'met'))::float8 AS mean"
        f" FROM ({_CLOCKS}) AS clocks GROUP BY GROUPING SETS ((date), ()) ORDER BY date NULLS LAST",
        {"zone": days.zone, "first": days.first, "last": days.last, "clock": clock, "now": now},
    )


def operator_load(connection: Conn, first: date, last: date, operator_id: UUID | None = None) -> list[Answer]:
    """Per operator who did something on these days (UTC) or has something now; all, or one of them."""
    sums = ", ".join(f"coalesce(l.{name}, 0)::bigint AS {name}" for name in _LOAD)
    summed = ", ".join(f"sum({name}) AS {name}" for name in _LOAD)
    return dicts(
        connection,
        f"WITH loaded AS (SELECT operator_id, {summed} FROM operator_load"
        " WHERE day BETWEEN %(first)s AND %(last)s GROUP BY operator_id),"
        " had AS (SELECT operator_id, sum(ticket) AS open_tickets, sum(offer) AS open_offers FROM ("
        "SELECT assignee_id AS operator_id, 1 AS ticket, 0 AS offer FROM open_tickets"
        " WHERE assignee_id IS NOT NULL AND open UNION ALL"
        " SELECT offer_operator_id, 0, 1 FROM open_tickets WHERE offer_operator_id IS NOT NULL"
        ") AS each GROUP BY operator_id)"
        f" SELECT operator_id, o.name, {sums}, coalesce(h.open_tickets, 0)::bigint AS open_tickets,"
        " coalesce(h.open_offers, 0)::bigint AS open_offers"
        " FROM loaded l FULL JOIN had h USING (operator_id) LEFT JOIN operators o USING (operator_id)"
        " WHERE %(only)s::uuid IS NULL OR operator_id = %(only)s ORDER BY operator_id",
        {"first": first, "last": last, "only": operator_id},
    )


def total_load(rows: list[Answer]) -> dict[str, int]:
    """The sums over rows of `operator_load`."""
    return {name: sum(row[name] for row in rows) for name in (*_LOAD, *_CURRENT)}
