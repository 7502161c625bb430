"""Which rows follow from the facts of tickets; all in the transaction that appends them."""

from collections.abc import Sequence
from typing import Final

from deskline_chassis.event_log import Appended
from deskline_chassis.postgres import Conn
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
