"""Servers that die, vanish, forget or lose everything: it heals without a command and without a loss."""

import asyncio
import os
import threading
import time

import pytest
from tests.chaos.backbone.system import Deployment, wait_for
from tests.chaos.faults.records import repeat_records
from tests.chaos.faults.servers import Remembered
from tests.witness import rows

pytestmark = pytest.mark.chaos

OUTAGE = 60.0 if os.environ.get("DESKLINE_LONG") == "1" else 15.0
"""Seconds without the database."""


def test_broker_killed_under_load_loses_nothing(whole: Deployment) -> None:
    load = whole.load()
    for _ in range(2):
        load.reach(200)
        whole.stack.kafka.kill()
        load.reach(50)
        whole.stack.kafka.start()
    load.reach(200)
    whole.settle(90)
    # The database took every write while the broker was away.
    assert load.unknown == 0


def test_lost_tail_of_the_broker_is_announced_anew(whole: Deployment) -> None:
    load = whole.load()
    load.reach(300)
    remembered = Remembered(whole.stack)
    load.reach(300)
    load.stop()
    wait_for("everything announced and applied", whole.at_rest)
    remembered.put_back()
    wait_for("higher epochs", whole.raised)
    again = whole.load()
    again.reach(100)
    assert max(whole.settle().epochs) == whole.epochs_before[0] + 1


def test_wiped_broker_is_filled_again_within_a_minute(whole: Deployment) -> None:
    load = whole.load()
    load.reach(400)
    load.stop()
    wait_for("everything announced and applied", whole.at_rest)
    whole.stack.kafka.kill()
    whole.stack.kafka.wipe()
    whole.stack.kafka.start()
    began = time.monotonic()
    wait_for("higher epochs", whole.raised)
    findings = whole.settle(60)
    assert time.monotonic() - began < 60
    assert min(findings.epochs) > whole.epochs_before[0]
    assert findings.events >= 400
    again = whole.load()
    again.reach(100)
    whole.settle()


def test_outage_of_the_database_parks_nothing(whole: Deployment) -> None:
    load = whole.load()
    load.reach(200)
    # New records and repeats come in while there is no database.
    for follower in whole.followers:
        follower.child.pause()
    load.reach(200)
    load.stop()
    announced = "SELECT position = (SELECT max(id) FROM events) FROM relay"
    wait_for("announced", lambda: rows(whole.writer_database.owner_url, announced)[0][0])
    whole.stack.postgres.kill()
    for follower in whole.followers:
        follower.child.resume()
    began = time.monotonic()
    asyncio.run(repeat_records(whole.stack.bootstrap, [f"{whole.prefix}deskline.intake.events"]))
    for process in whole.processes:
        wait_for(f"{process.name} is red", process.red)
    threading.Event().wait(max(0.0, OUTAGE - (time.monotonic() - began)))
    assert all(process.child.alive for process in whole.processes)
    whole.stack.postgres.start()
    for process in whole.processes:
        wait_for(f"{process.name} ready again", process.ready, 30)
    again = whole.load()
    again.reach(100)
    assert whole.settle().repeats >= 400


def test_database_killed_under_load_loses_nothing(whole: Deployment) -> None:
    load = whole.load()
    for _ in range(2):
        load.reach(200)
        whole.stack.postgres.kill()
        whole.stack.postgres.start()
    load.reach(200)
    whole.settle()
    assert load.unknown > 0
