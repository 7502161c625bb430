"""Servers that die, vanish, forget or lose everything: it heals without a command and without a loss."""

import asyncio
import os
import threading
import time

import httpx
import pytest

from tests.backbone.checker import rows
from tests.backbone.faults import Remembered, repeat_records
from tests.backbone.system import Deployment, wait_for

pytestmark = pytest.mark.chaos

OUTAGE = 60.0 if os.environ.get("DESKLINE_LONG") == "1" else 15.0
"""Seconds without the database."""


def test_broker_killed_under_load_loses_nothing(fragile: Deployment) -> None:
    load = fragile.load()
    for _ in range(2):
        load.reach(200)
        fragile.stack.kafka.kill()
        load.reach(50)
        fragile.stack.kafka.start()
    load.reach(200)
    fragile.settle(90)
    # The database took every write while the broker was away.
    assert load.unknown == 0


def test_lost_tail_of_the_broker_is_announced_anew(fragile: Deployment) -> None:
    epoch = fragile.writer_row("epoch")
    load = fragile.load()
    load.reach(300)
    remembered = Remembered(fragile.stack)
    load.reach(300)
    load.stop()
    wait_for("everything announced and applied", fragile.at_rest)
    remembered.put_back()
    wait_for("a higher epoch", lambda: fragile.writer_row("epoch") == epoch + 1)
    again = fragile.load()
    again.reach(100)
    assert max(fragile.settle().epochs) == epoch + 1


def test_wiped_broker_is_filled_again_within_a_minute(fragile: Deployment) -> None:
    epoch = fragile.writer_row("epoch")
    load = fragile.load()
    load.reach(400)
    load.stop()
    wait_for("everything announced and applied", fragile.at_rest)
    fragile.stack.kafka.kill()
    fragile.stack.kafka.wipe()
    fragile.stack.kafka.start()
    began = time.monotonic()
    wait_for("a higher epoch", lambda: fragile.writer_row("epoch") > epoch)
    findings = fragile.settle(60)
    assert time.monotonic() - began < 60
    assert min(findings.epochs) > epoch
    assert findings.events >= 400
    again = fragile.load()
    again.reach(100)
    fragile.settle()


def test_outage_of_the_database_parks_nothing(fragile: Deployment) -> None:
    load = fragile.load()
    load.reach(200)
    # New records and repeats come in while there is no database.
    for follower in fragile.followers:
        follower.child.pause()
    load.reach(200)
    load.stop()
    announced = "SELECT position = (SELECT max(id) FROM events) FROM relay"
    wait_for("announced", lambda: rows(fragile.writer_database.owner_url, announced)[0][0])
    fragile.stack.postgres.kill()
    for follower in fragile.followers:
        follower.child.resume()
    began = time.monotonic()
    asyncio.run(repeat_records(fragile.stack.bootstrap, [f"{fragile.prefix}deskline.intake.events"]))
    for process in fragile.processes:
        wait_for(f"{process.name} is red", lambda p=process: httpx.get(f"{p.url}/readyz").status_code == 503)
    threading.Event().wait(max(0.0, OUTAGE - (time.monotonic() - began)))
    assert all(process.child.alive for process in fragile.processes)
    fragile.stack.postgres.start()
    for process in fragile.processes:
        wait_for(f"{process.name} ready again", process.ready, 30)
    again = fragile.load()
    again.reach(100)
    assert fragile.settle().repeats >= 400


def test_database_killed_under_load_loses_nothing(fragile: Deployment) -> None:
    load = fragile.load()
    for _ in range(2):
        load.reach(200)
        fragile.stack.postgres.kill()
        fragile.stack.postgres.start()
    load.reach(200)
    fragile.settle()
    assert load.unknown > 0
