"""Rows of operators, teams, queues and presence."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from deskline_chassis.event_log import EventLog
from deskline_chassis.personal_data import unseal
from deskline_chassis.postgres import Conn
from deskline_events.conditions import Conditions
from deskline_events.envelope import event_id
from deskline_events.routing import OperatorChanged, QueueChanged, TeamChanged
from deskline_routing.adapters.ticket_rows import LOADS
from deskline_routing.domain.office import Operator, PresenceState, Queue
from deskline_routing.ports import KeptOperator, KeptQueue, KeptTeam, Presence

# Presence lasts by the time in which heartbeats could be received.
PRESENT: Final = "CASE WHEN p.expires_at > l.heard_until THEN p.state ELSE 'offline' END"
_QUEUE: Final = "queue_id, name, team_id, place, conditions, skills, accept_seconds, active"


def operators(connection: Conn) -> list[Operator]:
    """Everybody, with presence and load."""
    rows = connection.execute(
        f"SELECT o.operator_id, team_ids, skills, capacity, employed, coalesce({PRESENT}, 'offline'),"
        " coalesce(load, 0), last_offered_at, timeouts FROM operators o CROSS JOIN listening l"
        f" LEFT JOIN presence p USING (operator_id) LEFT JOIN ({LOADS}) AS loads USING (operator_id)"
    ).fetchall()
    return [
        Operator(one, frozenset(team_ids), frozenset(skills), *rest) for one, team_ids, skills, *rest in rows
    ]


def queues(connection: Conn) -> list[Queue]:
    """All queues."""
    return [_queue(row) for row in connection.execute(f"SELECT {_QUEUE} FROM queues").fetchall()]


def queue(connection: Conn, queue_id: UUID) -> KeptQueue | None:
    """A queue."""
    row = connection.execute(
        f"SELECT version, {_QUEUE} FROM queues WHERE queue_id = %s", (queue_id,)
    ).fetchone()
    return None if row is None else KeptQueue(row[0], _queue(row[1:]))


def team(connection: Conn, team_id: UUID) -> KeptTeam | None:
    """A team."""
    row = connection.execute(
        "SELECT version, name, lead_ids, active FROM teams WHERE team_id = %s", (team_id,)
    ).fetchone()
    if row is None:
        return None
    version, name, lead_ids, active = row
    return KeptTeam(version, TeamChanged(team_id=team_id, name=name, lead_ids=tuple(lead_ids), active=active))


def announced_operators(
    connection: Conn, log: EventLog, operator_ids: Collection[UUID]
) -> dict[UUID, KeptOperator]:
    """Operators as they were last announced, opened; raises MissingKeyError, SealError."""
    rows = connection.execute(
        "SELECT operator_id, version, generation, data FROM operators"
        " JOIN events ON stream = operator_id AND sequence = version WHERE operator_id = ANY(%s)",
        (list(operator_ids),),
    ).fetchall()
    keys = log.keys.load(connection, [row[0] for row in rows])
    found: dict[UUID, KeptOperator] = {}
    for operator_id, version, generation, data in rows:
        unseal(OperatorChanged, data, event_id(log.source, operator_id, version, generation), keys)
        erased = keys[operator_id].erased_at is not None
        found[operator_id] = KeptOperator(version, OperatorChanged.model_validate(data), erased)
    return found


def write_operator(connection: Conn, fact: OperatorChanged, version: int) -> None:
    """Keep what is not personal of an operator; their turn stays as it is."""
    connection.execute(
        "INSERT INTO operators (operator_id, version, language, employed, team_ids, skills, capacity)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (operator_id) DO UPDATE SET"
        " version = excluded.version, language = excluded.language, employed = excluded.employed,"
        " team_ids = excluded.team_ids, skills = excluded.skills, capacity = excluded.capacity",
        (
            fact.operator_id,
            version,
            fact.language,
            fact.employed,
            list(fact.team_ids),
            list(fact.skills),
            fact.capacity,
        ),
    )


def write_team(connection: Conn, fact: TeamChanged, version: int) -> None:
    """Keep a team."""
    connection.execute(
        "INSERT INTO teams (team_id, version, name, lead_ids, active) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (team_id) DO UPDATE SET version = excluded.version, name = excluded.name,"
        " lead_ids = excluded.lead_ids, active = excluded.active",
        (fact.team_id, version, fact.name, list(fact.lead_ids), fact.active),
    )


def write_queue(connection: Conn, fact: QueueChanged, version: int) -> None:
    """Keep a queue."""
    connection.execute(
        f"INSERT INTO queues (version, {_QUEUE}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (queue_id) DO UPDATE SET version = excluded.version, name = excluded.name,"
        " team_id = excluded.team_id, place = excluded.place, conditions = excluded.conditions,"
        " skills = excluded.skills, accept_seconds = excluded.accept_seconds, active = excluded.active",
        (
            version,
            fact.queue_id,
            fact.name,
            fact.team_id,
            fact.order,
            Jsonb(fact.conditions.model_dump(mode="json", exclude_defaults=True)),
            list(fact.skills),
            fact.accept_seconds,
            fact.active,
        ),
    )


def write_turns(connection: Conn, changed: Collection[Operator]) -> None:
    """Keep when operators were last offered something, and how many offers in a row they let pass."""
    if not changed:
        return
    connection.execute(
        "UPDATE operators SET last_offered_at = new.last_offered_at, timeouts = new.timeouts"
        " FROM unnest(%s::uuid[], %s::timestamptz[], %s::int[])"
        " AS new (operator_id, last_offered_at, timeouts)"
        " WHERE operators.operator_id = new.operator_id",
        (
            [one.operator_id for one in changed],
            [one.last_offered_at for one in changed],
            [one.timeouts for one in changed],
        ),
    )


def set_away(connection: Conn, operator_ids: Collection[UUID]) -> None:
    """Set those away who are online, until they say themselves that they are back."""
    if not operator_ids:
        return
    connection.execute(
        "UPDATE presence SET state = 'away', held = true WHERE operator_id IN"
        " (SELECT operator_id FROM presence WHERE operator_id = ANY(%s) AND state = 'online'"
        " ORDER BY operator_id FOR UPDATE)",
        (list(operator_ids),),
    )


def out_of_reach(connection: Conn) -> list[UUID]:
    """Operators with an offer that was not withdrawn who are offline, or whose presence expired."""
    rows = connection.execute(
        "SELECT DISTINCT offer_operator_id FROM tickets CROSS JOIN listening l"
        " LEFT JOIN presence p ON p.operator_id = offer_operator_id"
        " WHERE offer_id IS NOT NULL AND NOT offer_withdrawn"
        f" AND coalesce({PRESENT}, 'offline') = 'offline' ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def beat(connection: Conn, operator_id: UUID, state: PresenceState, period: float) -> Presence | None:
    """Prolong what an employed operator is already; who is held away stays so while they say "online"."""
    row = connection.execute(
        "UPDATE presence p SET expires_at = clock_timestamp() + make_interval(secs => %(period)s)"
        " FROM operators o, listening l"
        " WHERE p.operator_id = %(operator)s AND o.operator_id = p.operator_id AND o.employed"
        " AND p.expires_at > greatest(clock_timestamp(), l.heard_until) AND %(state)s <> 'offline'"
        " AND CASE WHEN p.held THEN %(state)s = 'online' ELSE p.state = %(state)s END"
        " RETURNING p.state, p.expires_at",
        {"operator": operator_id, "state": state, "period": period},
    ).fetchone()
    return None if row is None else Presence(*row)


def change_presence(
    connection: Conn, operator_id: UUID, state: PresenceState, period: float
) -> Presence | None:
    """Set an employed operator's presence; going online ends a row of timeouts only by answering."""
    row = connection.execute(
        "INSERT INTO presence (operator_id, state, held, expires_at)"
        " SELECT operator_id, %(state)s, false, clock_timestamp() + make_interval(secs => %(period)s)"
        " FROM operators WHERE operator_id = %(operator)s AND employed"
        " ON CONFLICT (operator_id) DO UPDATE SET state = excluded.state, held = false,"
        " expires_at = excluded.expires_at RETURNING state, expires_at",
        {"operator": operator_id, "state": state, "period": 0 if state == "offline" else period},
    ).fetchone()
    return None if row is None else Presence(*row)


def _queue(row: tuple[Any, ...]) -> Queue:
    queue_id, name, team_id, place, conditions, skills, accept_seconds, active = row
    return Queue(
        queue_id=queue_id,
        name=name,
        team_id=team_id,
        order=place,
        conditions=Conditions.model_validate(conditions),
        skills=frozenset(skills),
        accept_seconds=accept_seconds,
        active=active,
    )
