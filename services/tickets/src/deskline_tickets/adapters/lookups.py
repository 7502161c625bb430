"""The rows that lead from a message to a ticket: source keys, Message-IDs, numbers."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_tickets.ports import Arrival, Wanted

_FIND: Final = (
    "SELECT source_key, NULL::bytea, NULL::bigint, stream FROM sources WHERE source_key = ANY(%(sources)s)"
    " UNION ALL SELECT NULL, message_id_hash, NULL, ticket_id FROM message_ids"
    " WHERE line_id = ANY(%(lines)s) AND message_id_hash = ANY(%(hashes)s)"
    " UNION ALL SELECT NULL, NULL, number, ticket_id FROM tickets_index WHERE number = ANY(%(numbers)s)"
)


def find_rows(connection: Conn, wanted: Wanted) -> tuple[dict[str, UUID], dict[bytes, UUID], dict[int, UUID]]:
    """Streams by source key, ticket ids by Message-ID and by number, in one query."""
    rows = connection.execute(
        _FIND,
        {
            "sources": list(wanted.source_keys),
            "lines": list(wanted.line_ids),
            "hashes": list(wanted.message_ids),
            "numbers": list(wanted.numbers),
        },
    ).fetchall()
    sources: dict[str, UUID] = {}
    message_ids: dict[bytes, UUID] = {}
    numbers: dict[int, UUID] = {}
    for source_key, message_id_hash, number, stream in rows:
        if source_key is not None:
            sources[source_key] = stream
        elif message_id_hash is not None:
            message_ids[message_id_hash] = stream
        else:
            numbers[number] = stream
    return sources, message_ids, numbers


def write_arrivals(connection: Conn, arrivals: Sequence[Arrival]) -> None:
    """Keep where messages went; the first ticket of a Message-ID stays its ticket."""
    if not arrivals:
        return
    connection.execute(
        "INSERT INTO sources (source_key, stream) SELECT * FROM unnest(%s::text[], %s::uuid[])",
        ([one.source_key for one in arrivals], [one.stream for one in arrivals]),
    )
    known = [(one.line_id, one.message_id_hash, one.stream) for one in arrivals if one.message_id_hash]
    if known:
        connection.execute(
            "INSERT INTO message_ids (line_id, message_id_hash, ticket_id)"
            " SELECT * FROM unnest(%s::uuid[], %s::bytea[], %s::uuid[]) ON CONFLICT DO NOTHING",
            ([one[0] for one in known], [one[1] for one in known], [one[2] for one in known]),
        )


def take_numbers(connection: Conn, count: int) -> list[int]:
    """So many new ticket numbers, ascending."""
    if count == 0:
        return []
    rows = connection.execute(
        "SELECT nextval('ticket_numbers') FROM generate_series(1, %s)", (count,)
    ).fetchall()
    return [number for (number,) in rows]


def erased_among(connection: Conn, persons: Collection[UUID]) -> frozenset[UUID]:
    """Those whose owner announced that their key is gone."""
    if not persons:
        return frozenset()
    rows = connection.execute(
        "SELECT subject FROM known_keys WHERE subject = ANY(%s) AND erased_at IS NOT NULL", (list(persons),)
    ).fetchall()
    return frozenset(subject for (subject,) in rows)
