"""The product's own relays announce what was loaded; then every reader stands where the topics end.

The rows of the readers are loaded already: they say of each stream that it was applied.
"""

import time
from collections.abc import Callable

import psycopg
from tests.judging.settling import READS

from bench.million.making import until
from bench.topics import ends
from deskline_events.topics import KEY_OWNERS, OWNERS, events_topic, keys_topic
from deskline_local.deployment import SERVICES
from deskline_local.system import System

PATIENCE = 3600.0
LEFT = (
    "SELECT (SELECT coalesce(max(id), 0) FROM events) - position"
    " + (SELECT coalesce(max(change_id), 0) FROM person_keys) - keys_position FROM relay"
)


def stop_services(system: System) -> None:
    """Nothing reads, announces or fires any more."""
    for name in system.supervisor.names:
        system.supervisor.remove(name)


def start_services(system: System) -> None:
    """As it was before."""
    for name in SERVICES:
        system.start_service(name)
    system.wait_ready(timeout=300.0)


def announce(system: System, say: Callable[[str], None]) -> None:
    """Run the relays alone until nothing is left."""
    started = time.monotonic()
    for owner in OWNERS:
        system.start_service(owner, only="relay")
    left = set(OWNERS)

    def done() -> bool:
        for owner in sorted(left):
            if _one(system, owner, LEFT) == 0:
                say(f"{owner} announced ({time.monotonic() - started:.0f} s)")
                left.discard(owner)
        return not left

    until("everything announced", done, PATIENCE)
    stop_services(system)


def _one(system: System, owner: str, statement: str) -> int:
    with psycopg.connect(system.owner_url(owner)) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return 0 if row is None else int(row[0])


def place_readers(system: System) -> None:
    """Put each reader's positions at the ends of its topics, in the epoch of their relays."""
    of = {events_topic(owner).name: owner for owner in OWNERS}
    of |= {keys_topic(owner).name: owner for owner in KEY_OWNERS}
    epochs = {owner: _one(system, owner, "SELECT epoch FROM relay") for owner in OWNERS}
    found = ends(system.bootstrap, list(of))
    for reader in READS:
        with psycopg.connect(system.owner_url(reader)) as connection:
            topics = connection.execute("SELECT DISTINCT reader, topic FROM positions").fetchall()
            rows = [
                (name, topic, partition, epochs[of[topic]], end)
                for name, topic in topics
                for (where, partition), end in found.items()
                if where == topic and end > 0
            ]
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO positions (reader, topic, partition, epoch, next_offset)"
                    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (reader, topic, partition) DO UPDATE"
                    " SET epoch = excluded.epoch, next_offset = excluded.next_offset",
                    rows,
                )
