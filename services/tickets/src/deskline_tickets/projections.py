"""Which rows follow from facts: from our own as they are appended, from routing's as they are read."""

from collections.abc import Iterable, Sequence
from typing import Final

from deskline_chassis.event_log import Appended
from deskline_chassis.postgres import Conn
from deskline_events.facts import Fact
from deskline_events.routing import OperatorChanged, QueueChanged, TeamChanged
from deskline_tickets.domain.events import MessageSetAside, TicketOpened

_SET_ASIDE: Final = (
    "INSERT INTO set_aside (stream, line_id, contact_id, source_key, received_at, reason, set_aside_at)"
)


def project(connection: Conn, appended: Sequence[Appended]) -> None:
    """Write the rows of newly appended facts."""
    opened = [(one, one.fact) for one in appended if isinstance(one.fact, TicketOpened)]
    if opened:
        connection.execute(
            "INSERT INTO tickets_index (ticket_id, number, line_id, contact_id, opened_at)"
            " SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::uuid[], %s::timestamptz[])",
            (
                [one.stream for one, _ in opened],
                [fact.number for _, fact in opened],
                [fact.line.line_id for _, fact in opened],
                [fact.contact_id for _, fact in opened],
                [one.time for one, _ in opened],
            ),
        )
    aside = [(one, one.fact) for one in appended if isinstance(one.fact, MessageSetAside)]
    if aside:
        connection.execute(
            f"{_SET_ASIDE} SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[],"
            " %s::timestamptz[], %s::text[], %s::timestamptz[]) ON CONFLICT DO NOTHING",
            (
                [one.stream for one, _ in aside],
                [fact.line_id for _, fact in aside],
                [fact.contact_id for _, fact in aside],
                [fact.source_key for _, fact in aside],
                [fact.received_at for _, fact in aside],
                [fact.reason for _, fact in aside],
                [one.time for one, _ in aside],
            ),
        )


def rebuild_set_aside(connection: Conn) -> int:
    """Make the rows of `set_aside` anew from the log, whose lock the caller holds; how many there are."""
    connection.execute("DELETE FROM set_aside")
    return connection.execute(
        f"{_SET_ASIDE} SELECT stream, (data->>'line_id')::uuid, (data->>'contact_id')::uuid,"
        " data->>'source_key', (data->>'received_at')::timestamptz, data->>'reason', time"
        " FROM events WHERE type = %s ORDER BY id",
        (MessageSetAside.TYPE,),
    ).rowcount


def keep_directory(connection: Conn, facts: Iterable[Fact]) -> None:
    """Write what routing announced of operators, teams and queues, in its order."""
    for fact in facts:
        match fact:
            case OperatorChanged():
                connection.execute(
                    "INSERT INTO directory_operators (operator_id, employed, team_ids) VALUES (%s, %s, %s)"
                    " ON CONFLICT (operator_id) DO UPDATE"
                    " SET employed = excluded.employed, team_ids = excluded.team_ids",
                    (fact.operator_id, fact.employed, list(fact.team_ids)),
                )
            case TeamChanged():
                connection.execute(
                    "INSERT INTO directory_teams (team_id, lead_ids, active) VALUES (%s, %s, %s)"
                    " ON CONFLICT (team_id) DO UPDATE"
                    " SET lead_ids = excluded.lead_ids, active = excluded.active",
                    (fact.team_id, list(fact.lead_ids), fact.active),
                )
            case QueueChanged():
                connection.execute(
                    "INSERT INTO directory_queues (queue_id, team_id, active) VALUES (%s, %s, %s)"
                    " ON CONFLICT (queue_id) DO UPDATE"
                    " SET team_id = excluded.team_id, active = excluded.active",
                    (fact.queue_id, fact.team_id, fact.active),
                )
