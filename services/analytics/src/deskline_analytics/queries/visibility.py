"""Which tickets a caller may see: a condition on `open_tickets` by the scope of the caller's identity.

The same rules as where tickets are acted on. `own`: assigned or offered to the caller; `queue`: that, and
what stands in a queue of the caller's teams; `team`: that, and what is with the caller's teams; `all`. Of
what a scope reaches by a team, whoever leads it sees everything, others not what somebody works on. An
unknown scope reaches nothing.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from deskline_chassis.postgres import Conn

# Who is in a team that is not in use any more is in none; a team that was not announced yet counts.
# Of somebody who was never announced nothing is known; who left sees nothing by what they were.
_CALLER: Final = (
    "SELECT coalesce(o.employed, true),"
    " ARRAY(SELECT m FROM unnest(o.team_ids) m WHERE NOT EXISTS"
    " (SELECT FROM teams t WHERE t.team_id = m AND NOT t.active)),"
    " ARRAY(SELECT t.team_id FROM teams t WHERE t.active AND t.lead_ids @> ARRAY[%(caller)s::uuid])"
    " FROM (SELECT) AS one LEFT JOIN operators o ON o.operator_id = %(caller)s"
)
_QUEUES: Final = "SELECT queue_id, team_id FROM queues WHERE team_id = ANY(%s)"
# New, over, or nobody's: for everybody in the queue. What somebody works on is theirs and the lead's.
_FOR_ALL: Final = (
    "(stage IN ('new', 'resolved', 'closed', 'merged', 'abandoned') OR (assignee_id IS NULL AND open))"
)
_OWN: Final = "assignee_id = %(caller)s OR offer_operator_id = %(caller)s"
_BY_QUEUE: Final = f"queue_id = ANY(%(led_queues)s) OR (queue_id = ANY(%(queues)s) AND {_FOR_ALL})"
_BY_TEAM: Final = f"team_id = ANY(%(led)s) OR (team_id = ANY(%(teams)s) AND {_FOR_ALL})"
_CONDITIONS: Final = {
    "own": _OWN,
    "queue": f"{_OWN} OR {_BY_QUEUE}",
    "team": f"{_OWN} OR {_BY_QUEUE} OR {_BY_TEAM}",
}
# What tickets has not told of is shown to nobody.
_TOLD: Final = "number IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Reach:
    """A condition on rows of `open_tickets`, with its values."""

    condition: str
    values: dict[str, Any]


def reach_of(connection: Conn, caller: UUID, scope: str) -> Reach:
    """What a scope lets a caller see, by what routing announced of them."""
    if scope == "all":
        return Reach(_TOLD, {})
    row = connection.execute(_CALLER, {"caller": caller}).fetchone()
    employed, teams, led = row or (False, [], [])
    if not employed or scope not in _CONDITIONS:
        return Reach("false", {})
    queues = connection.execute(_QUEUES, ([*teams, *led],)).fetchall()
    values = {
        "caller": caller,
        "teams": teams,
        "led": led,
        "queues": [queue for queue, team in queues if team in teams],
        "led_queues": [queue for queue, team in queues if team in led],
    }
    return Reach(f"{_TOLD} AND ({_CONDITIONS[scope]})", values)
