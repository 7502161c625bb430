"""Processes that die, stop, double and repeat: order, equality and one application each."""

import asyncio
import threading
import time
from functools import partial

import pytest
from tests.chaos.backbone.system import Deployment, Process, wait_for
from tests.chaos.faults.records import repeat_records
from tests.witness import rows

pytestmark = pytest.mark.chaos

PAST_THE_LEASE = 12.0
"""Seconds; a leader's lease is 10."""


def leader(processes: list[Process]) -> Process | None:
    leading = [one for one in processes if one.figure("deskline_relay_leader") == 1]
    assert len(leading) < 2
    return leading[0] if leading else None


def test_every_record_delivered_twice_is_applied_once(whole: Deployment) -> None:
    load = whole.load()
    load.reach(600)
    topics = [f"{whole.prefix}deskline.{name}" for name in ("intake.events", "intake.keys", "tickets.events")]
    assert asyncio.run(repeat_records(whole.stack.bootstrap, topics)) > 600
    load.reach(300)
    whole.settle()
    # Those that were written meanwhile too.
    asyncio.run(repeat_records(whole.stack.bootstrap, topics))
    findings = whole.settle()
    assert findings.repeats >= findings.events >= 900
    assert load.unknown == 0


def test_two_relays_of_one_log_take_turns(whole: Deployment) -> None:
    load = whole.load()
    for _ in range(2):
        load.reach(100)
        first: Process = wait_for("a leader", lambda: leader(whole.writers))
        term = whole.writer_row("term")
        first.restart()
        wait_for("another term", partial(whole.passed_term, term))
    load.reach(100)
    whole.settle()
    assert whole.epochs == whole.epochs_before
    # Nothing was lost here, so nobody may think so and scan again.
    assert not any("ends below" in process.told() for process in whole.followers)


def test_members_killed_under_load_lose_and_double_nothing(whole: Deployment) -> None:
    load = whole.load()
    for victim in (whole.followers[0], whole.writers[0], whole.followers[1], whole.writers[1]) * 2:
        load.reach(60)
        victim.restart()
    load.reach(60)
    whole.settle()
    assert whole.epochs == whole.epochs_before
    assert load.unknown > 0


def test_leader_stopped_past_its_lease_steps_down(whole: Deployment) -> None:
    stopped: Process = wait_for("a leader", lambda: leader(whole.writers))
    other = next(one for one in whole.writers if one is not stopped)
    load = whole.load(stopped)
    load.reach(100)
    term = whole.writer_row("term")
    stopped.child.pause()
    began = time.monotonic()
    again = whole.load(other)
    wait_for("another leader", lambda: other.figure("deskline_relay_leader") == 1, 30)
    assert whole.writer_row("term") > term
    again.reach(50)
    threading.Event().wait(max(0.0, PAST_THE_LEASE - (time.monotonic() - began)))
    stopped.child.resume()
    wait_for("the old one steps down", lambda: stopped.figure("deskline_relay_leader") == 0)
    assert other.figure("deskline_relay_leader") == 1
    load.reach(50)
    whole.settle()
    assert whole.epochs == whole.epochs_before


def test_asked_to_stop_they_end_in_order(whole: Deployment) -> None:
    whole.load().reach(200)
    whole.settle()
    for process in whole.processes:
        process.stop()
    for process in whole.processes:
        assert process.ended_after() <= 10, process.told()
        assert process.child.exit_code == 0, process.told()
    databases = f"'{whole.writer_database.name}', '{whole.follower_database.name}'"
    held = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
        f" WHERE locktype = 'advisory' AND datname IN ({databases})"
    )
    wait_for("no lock is left", lambda: rows(whole.stack.database_url(), held)[0][0] == 0, 5)
    for process in whole.processes:
        process.restart()
    whole.settle()
