"""When the system is quiet: everything accepted was read, announced, applied, told and fired."""

from collections.abc import Iterable

import psycopg
from tests.judging.site import Site

READS = {
    "tickets": ("intake", "routing", "sla", "notify"),
    "routing": ("tickets",),
    "sla": ("tickets",),
    "notify": ("intake", "tickets", "routing", "sla"),
    "analytics": ("intake", "tickets", "routing", "sla", "notify"),
}
OWNERS = ("intake", "tickets", "routing", "sla", "notify")
UNANNOUNCED = "SELECT (SELECT coalesce(max(id), 0) FROM events) - position FROM relay"
APPLIED = "SELECT owner, subject, sequence FROM reader_streams WHERE reader = %s"
NOTHING_LEFT = {
    "intake": "SELECT count(*) FROM raw_messages WHERE state = 'received'",
    "notify": "SELECT count(*) FROM notifications WHERE state IN ('waiting', 'pending', 'sending')",
    "sla": "SELECT count(*) FROM deadlines WHERE state = 'armed' AND due_at < clock_timestamp()",
}


def quiet(site: Site) -> bool:
    """Whether nothing is on its way any more."""
    return (
        all(_is_zero(site, owner, statement) for owner, statement in NOTHING_LEFT.items())
        and all(_is_zero(site, owner, UNANNOUNCED) for owner in OWNERS)
        and all(unapplied(site, reader, owners) == 0 for reader, owners in READS.items())
    )


def unapplied(site: Site, reader: str, owners: Iterable[str]) -> int:
    """Streams whose last event the reader has not applied."""
    with psycopg.connect(site.owner_url(reader)) as connection:
        known = {
            (owner, subject): sequence
            for owner, subject, sequence in connection.execute(
                "SELECT owner, subject, sequence FROM reader_streams WHERE reader = %s",
                (f"deskline.{reader}",),
            ).fetchall()
        }
    behind = 0
    for owner in owners:
        with psycopg.connect(site.owner_url(owner)) as connection:
            written = connection.execute(
                "SELECT stream, max(sequence) FROM events GROUP BY stream"
            ).fetchall()
        behind += sum(known.get((owner, stream)) != last for stream, last in written)
    return behind


def _is_zero(site: Site, owner: str, statement: str) -> bool:
    with psycopg.connect(site.owner_url(owner)) as connection:
        return connection.execute(statement).fetchone() == (0,)
