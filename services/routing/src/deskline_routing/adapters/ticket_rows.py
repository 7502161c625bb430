"""Rows of tickets, read and written by sets."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row
from pydantic_core import to_json

from deskline_chassis.postgres import Conn
from deskline_events.conditions import Circumstances
from deskline_routing.domain.ticket import Offer, Ticket
from deskline_routing.ports import Place

_OWN: Final = (
    "ticket_id",
    "correlation_id",
    "waiting_since",
    "circumstances",
    "stage",
    "assignment_no",
    "queue_id",
    "requeue",
    "asked_no",
    "asked_id",
    "assignee_id",
    "assignee_team_id",
    "return_no",
    "preferred_id",
    "queue_attempt",
    "attempt",
    "refusals",
    "refused_by",
    "waiting",
)
# Column → attribute of the offer.
_OFFER: Final = {
    "offer_id": "offer_id",
    "offer_operator_id": "operator_id",
    "offer_no": "assignment_no",
    "offer_made_at": "made_at",
    "offer_until": "until",
    "offer_team_id": "team_id",
    "offer_seen_at": "seen_at",
    "offer_withdrawn": "withdrawn",
    "offer_decision_id": "decision_id",
}
_COLUMNS: Final = ", ".join((*_OWN, *_OFFER))
_EXCLUDED: Final = ", ".join(f"excluded.{name}" for name in (*_OWN, *_OFFER))
_ENDED: Final = "('resolved', 'closed', 'merged', 'spam', 'abandoned')"

# Each half is answered by a partial index, whose conditions these are to the letter.
LOADS: Final = (
    "SELECT holder AS operator_id, count(*)::float AS load FROM ("
    " SELECT assignee_id AS holder FROM tickets"
    f" WHERE assignee_id IS NOT NULL AND stage NOT IN {_ENDED}"
    " UNION ALL SELECT offer_operator_id FROM tickets WHERE offer_id IS NOT NULL) AS held GROUP BY holder"
)


def by_ids(connection: Conn, ticket_ids: Collection[UUID]) -> list[Ticket]:
    """Those of them that are known."""
    return _read(connection, "WHERE ticket_id = ANY(%s)", (list(ticket_ids),))


def held_by(connection: Conn, operator_ids: Collection[UUID]) -> list[Ticket]:
    """Live tickets of these assignees, and tickets with an open offer to them."""
    wanted = list(operator_ids)
    return _read(
        connection,
        "WHERE ticket_id IN (SELECT ticket_id FROM tickets WHERE assignee_id = ANY(%s)"
        f" AND assignee_id IS NOT NULL AND stage NOT IN {_ENDED}"
        " UNION SELECT ticket_id FROM tickets WHERE offer_operator_id = ANY(%s) AND offer_id IS NOT NULL)"
        " ORDER BY waiting_since, ticket_id",
        (wanted, wanted),
    )


def waiting_in(
    connection: Conn, queue_ids: Collection[UUID], after: Place | None, limit: int
) -> list[Ticket]:
    """Tickets that wait in these queues, the oldest first."""
    since, ticket_id = after or (None, None)
    return _read(
        connection,
        "WHERE ticket_id IN (SELECT oldest.ticket_id FROM unnest(%(queues)s::uuid[]) AS asked (queue)"
        " CROSS JOIN LATERAL (SELECT ticket_id, waiting_since FROM tickets"
        " WHERE waiting AND queue_id = queue AND (%(since)s::timestamptz IS NULL"
        " OR (waiting_since, ticket_id) > (%(since)s::timestamptz, %(ticket)s::uuid))"
        " ORDER BY waiting_since, ticket_id LIMIT %(limit)s) AS oldest"
        " ORDER BY oldest.waiting_since, oldest.ticket_id LIMIT %(limit)s)"
        " ORDER BY waiting_since, ticket_id",
        {"queues": list(queue_ids), "since": since, "ticket": ticket_id, "limit": limit},
    )


def astray(connection: Conn, active: Collection[UUID], after: UUID | None, limit: int) -> list[Ticket]:
    """Tickets refused too often, or waiting in a queue that is not among the active ones."""
    return _read(
        connection,
        "WHERE (refusals >= 3 OR (waiting AND NOT queue_id = ANY(%(active)s)))"
        " AND (%(after)s::uuid IS NULL OR ticket_id > %(after)s::uuid) ORDER BY ticket_id LIMIT %(limit)s",
        {"active": list(active), "after": after, "limit": limit},
    )


def write(connection: Conn, tickets: Collection[Ticket]) -> None:
    """Keep them as they are now."""
    if not tickets:
        return
    connection.execute(
        f"INSERT INTO tickets ({_COLUMNS})"
        f" SELECT {_COLUMNS} FROM json_populate_recordset(NULL::tickets, %s::json) ORDER BY ticket_id"
        f" ON CONFLICT (ticket_id) DO UPDATE SET ({_COLUMNS}) = ROW ({_EXCLUDED})",
        (to_json([_row(ticket) for ticket in tickets]).decode(),),
    )


def _row(ticket: Ticket) -> dict[str, Any]:
    row = {name: getattr(ticket, name) for name in _OWN}
    offer = ticket.offer
    if offer is not None:
        row |= {column: getattr(offer, name) for column, name in _OFFER.items()}
    return row


def _read(connection: Conn, where: str, values: Any) -> list[Ticket]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows: Sequence[dict[str, Any]] = cursor.execute(
            f"SELECT {_COLUMNS} FROM tickets {where}", values
        ).fetchall()
    return [_ticket(row) for row in rows]


def _ticket(row: dict[str, Any]) -> Ticket:
    own = {name: row[name] for name in _OWN}
    own["circumstances"] = Circumstances.model_validate(row["circumstances"])
    own["refused_by"] = {UUID(one): how for one, how in row["refused_by"].items()}
    offer = None
    if row["offer_id"] is not None:
        offer = Offer(**{name: row[column] for column, name in _OFFER.items()})
    return Ticket(**own, offer=offer)
