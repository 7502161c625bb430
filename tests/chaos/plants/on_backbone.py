"""What provokes the mistakes of relays and readers: each a load and a fault, on writers and followers."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import httpx
from tests.chaos.backbone.system import Deployment, Process, wait_for
from tests.chaos.faults.records import repeat_records
from tests.chaos.plants.holding import held, someone_waits
from tests.judging import poison
from tests.judging.poison import Poison
from tests.witness import rows

WRITERS, FOLLOWERS = "writer.py", "follower.py"
PAST_THE_LEASE = 11.0
PAST_AUTO_COMMIT = 3.0
STOPS = 4
STOPPED = 0.3
LEASE_HELD = 30.0
TRIES = 4
CONTACT = "deskline.intake.ContactRegistered.v1"


@dataclass(frozen=True)
class Scene:
    """Who has the plant, what provokes it and gives the records that nobody can read, and what shows it."""

    script: str
    provoke: Callable[[Deployment], Sequence[Poison]]
    shown_by: set[str]


def pause(seconds: float) -> None:
    """For as long as a fault lasts."""
    threading.Event().wait(seconds)


def leader(processes: Sequence[Process]) -> Process | None:
    leading = [one for one in processes if one.figure("deskline_relay_leader") == 1]
    return leading[0] if leading else None


def writers_stop_in_the_middle(whole: Deployment) -> Sequence[Poison]:
    """Many write side by side; the one that does not lead is stopped again and again, transactions open."""
    lead: Process = wait_for("a leader", lambda: leader(whole.writers))
    other = next(one for one in whole.writers if one is not lead)
    loads = [whole.load(one) for one in (lead, other) for _ in range(3)]
    for _ in range(STOPS):
        loads[-1].reach(24)
        other.child.pause()
        pause(STOPPED)
        other.child.resume()
    for load in loads:
        load.reach(60)
    return ()


def _kill_followers_before(whole: Deployment, table: str, held_for: float = 0.0) -> None:
    load = whole.load()
    load.reach(240)
    # Rows of streams are there by now; new ones would be written before the effects.
    wait_for("the first ones applied", lambda: whole.passed() >= 240)
    url = whole.follower_database.owner_url
    with held(url, table, "SHARE"):
        load.reach(48)
        wait_for(f"a follower stands before {table}", lambda: someone_waits(url, table))
        pause(held_for)
        for follower in whole.followers:
            follower.child.kill()
    for follower in whole.followers:
        follower.restart()
    load.reach(120)


def followers_die_before_an_effect(whole: Deployment) -> Sequence[Poison]:
    """Both are killed when they stand before the table of their effects."""
    _kill_followers_before(whole, "applied")
    return ()


def followers_die_long_before_an_effect(whole: Deployment) -> Sequence[Poison]:
    """The same, when they have stood there for longer than a consumer waits with its commit."""
    _kill_followers_before(whole, "applied", PAST_AUTO_COMMIT)
    return ()


def followers_die_before_a_position(whole: Deployment) -> Sequence[Poison]:
    """Both are killed when they stand before the table of how far streams were applied."""
    _kill_followers_before(whole, "reader_streams")
    return ()


def records_come_twice(whole: Deployment) -> Sequence[Poison]:
    """Every record is appended to its partition again."""
    load = whole.load()
    load.reach(240)
    topic = f"{whole.prefix}deskline.intake.events"
    assert asyncio.run(repeat_records(whole.stack.bootstrap, [topic])) > 100
    load.reach(48)
    return ()


def writers_die_without_a_broker(whole: Deployment) -> Sequence[Poison]:
    """The broker is killed under load, then the writers, whose relays had a batch in hand."""
    load = whole.load()
    load.reach(120)
    whole.stack.kafka.kill()
    load.reach(60)
    for writer in whole.writers:
        writer.child.kill()
    whole.stack.kafka.start()
    for writer in whole.writers:
        writer.restart()
    load.reach(60, 90)
    return ()


def leader_stopped_with_a_key_in_hand(whole: Deployment) -> Sequence[Poison]:
    """A leader is stopped past its lease when it has read a person's key; the person is erased meanwhile."""
    lead: Process = wait_for("a leader", lambda: leader(whole.writers))
    other = next(one for one in whole.writers if one is not lead)
    # Only a superuser sees what others ask.
    url = whole.stack.database_url(whole.writer_database.name)
    load = whole.load(other)
    load.reach(60)
    load.stop()
    wait_for("everything announced and applied", whole.at_rest)
    persons = (_stopped_with_a_key_in_hand(url, lead, other) for _ in range(TRIES))
    person = next((one for one in persons if one is not None), None)
    assert person is not None, f"{TRIES} times it read something else"
    stopped_at = time.monotonic()
    wait_for("another leader", lambda: other.figure("deskline_relay_leader") == 1, LEASE_HELD)
    httpx.post(f"{other.url}/erasures/{person}").raise_for_status()
    wait_for("the erasure announced", lambda: _keys_announced(url))
    pause(max(0.0, PAST_THE_LEASE - (time.monotonic() - stopped_at)))
    lead.child.resume()
    wait_for("the old leader steps down", lambda: lead.figure("deskline_relay_leader") == 0)
    whole.load().reach(60)
    return ()


def _stopped_with_a_key_in_hand(url: str, lead: Process, other: Process) -> str | None:
    """The person whose key it is; None where it was about to ask for something else, and goes on."""
    person = str(uuid4())
    lead.child.pause()
    try:
        httpx.post(f"{other.url}/facts", json=[{"stream": person, "word": "слово"}]).raise_for_status()
        with held(url, "events", "ACCESS EXCLUSIVE"):
            lead.child.resume()
            asked = wait_for("the leader stands before the events", lambda: _asked_of_events(url))
            if not asked.startswith("SELECT id, stream"):
                return None
            # It has read the keys: they come before the events.
            lead.child.pause()
    except BaseException:
        lead.child.resume()
        raise
    return person


def _asked_of_events(url: str) -> str | None:
    """What the relay asks of the events that somebody holds."""
    found = rows(
        url,
        "SELECT query FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE NOT granted"
        " AND datname = current_database() AND relation = 'events'::regclass"
        " AND application_name = 'intake-relay'",
    )
    return str(found[0][0]) if found else None


def _keys_announced(url: str) -> bool:
    statement = "SELECT keys_position = (SELECT max(change_id) FROM person_keys) FROM relay"
    return bool(rows(url, statement)[0][0])


def records_nobody_can_read(whole: Deployment) -> Sequence[Poison]:
    """Noise on every partition, and a stream whose first event can't be read, under load."""
    load = whole.load()
    load.reach(60)
    topic = f"{whole.prefix}deskline.intake.events"
    planted = poison.plant(whole.stack.bootstrap, topic, broken=CONTACT)
    load.reach(60)
    return planted


SCENES: Final[dict[str, Scene]] = {
    "relay_by_id": Scene(WRITERS, writers_stop_in_the_middle, {"I4"}),
    "offset_before_effect": Scene(FOLLOWERS, followers_die_before_an_effect, {"I5"}),
    "auto_commit": Scene(FOLLOWERS, followers_die_long_before_an_effect, {"I5"}),
    "no_position_check": Scene(FOLLOWERS, records_come_twice, {"I5"}),
    "position_outside_transaction": Scene(FOLLOWERS, followers_die_before_a_position, {"I5"}),
    "mark_before_publish": Scene(WRITERS, writers_die_without_a_broker, {"I4"}),
    "no_lease_fencing": Scene(WRITERS, leader_stopped_with_a_key_in_hand, {"I14"}),
    "parked_swallowed": Scene(FOLLOWERS, records_nobody_can_read, {"I9"}),
}
"""Plant → what provokes it; without a plant nothing is found by the same judges."""
