"""Operators, teams and queues as routing announced them, asked for the rights of a command or a query."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_tickets.domain.rights import Viewer
from deskline_tickets.ports import Assignment, Caller, QueueKnown

# Who is in a team that is not in use any more is in none; a team that was not announced yet counts.
_VIEWER: Final = (
    "SELECT coalesce(o.employed, true),"
    " ARRAY(SELECT m FROM unnest(o.team_ids) m WHERE NOT EXISTS"
    " (SELECT FROM directory_teams t WHERE t.team_id = m AND NOT t.active)),"
    " ARRAY(SELECT t.team_id FROM directory_teams t WHERE t.active AND %(id)s = ANY(t.lead_ids))"
    " FROM (SELECT) AS one LEFT JOIN directory_operators o ON o.operator_id = %(id)s"
)
# A queue without a team, or one that was not announced yet, is served by whoever is employed.
_SERVING: Final = (
    "SELECT w.operator_id, w.queue_id"
    " FROM unnest(%s::uuid[], %s::uuid[]) AS w (operator_id, queue_id)"
    " JOIN directory_operators o ON o.operator_id = w.operator_id AND o.employed"
    " LEFT JOIN directory_queues q ON q.queue_id = w.queue_id"
    " LEFT JOIN directory_teams t ON t.team_id = q.team_id"
    " WHERE q.team_id IS NULL OR q.team_id = ANY(o.team_ids) OR w.operator_id = ANY(t.lead_ids)"
)


def find_viewer(connection: Conn, caller: Caller) -> Viewer:
    """Who asks, with what is known of them here."""
    row = connection.execute(_VIEWER, {"id": caller.actor_id}).fetchone()
    assert row is not None  # noqa: S101 -- a LEFT JOIN from one row has one row
    employed, teams, led = row
    return Viewer(
        operator_id=caller.actor_id,
        roles=caller.roles,
        scope=caller.scope,
        employed=employed,
        team_ids=frozenset(teams),
        led_team_ids=frozenset(led),
    )


def find_queue(connection: Conn, queue_id: UUID) -> QueueKnown | None:
    """A queue as it was announced last."""
    row = connection.execute(
        "SELECT team_id, active FROM directory_queues WHERE queue_id = %s", (queue_id,)
    ).fetchone()
    return None if row is None else QueueKnown(*row)


def find_serving(connection: Conn, assignments: Collection[Assignment]) -> frozenset[Assignment]:
    """Those whose operator is employed and in a team of the queue."""
    if not assignments:
        return frozenset()
    operators, queues = zip(*assignments, strict=True)
    return frozenset(connection.execute(_SERVING, (list(operators), list(queues))).fetchall())
