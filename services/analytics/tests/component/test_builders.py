"""A rebuild beside a serving reader, and what a killed builder leaves."""

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from services.analytics.tests.rebuilds import assert_clean, assert_equal_rebuild

from deskline_analytics.adapters.serving_lock import (
    PROCESSES_LOCK,
    join_rebuild,
    reader_paused,
    take_for_rebuild,
)
from deskline_analytics.consumer import READER, REBUILDER
from deskline_analytics.domain.models import MODELS

pytestmark = pytest.mark.component


@contextmanager
def serving(rig: Any, port: int, until: Any, *arguments: str) -> Iterator[None]:
    process = rig.command("serve", *arguments, DESKLINE_ANALYTICS_HTTP_PORT=str(port))

    def ready() -> bool:
        assert process.poll() is None, process.communicate()[0]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    try:
        until(ready, "the service is ready")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_rebuild_beside_a_serving_reader_equals_it_and_runs_alone(
    rig: Any, make_story: Any, until: Any, free_port: int
) -> None:
    rig.tell(make_story(1).live(tickets=8, events=80))
    with serving(rig, free_port, until):
        rig.wait_applied()
        assert_equal_rebuild(rig)
        with psycopg.connect(rig.analytics.owner_url, autocommit=True) as other:
            assert take_for_rebuild(other)
            code, output = rig.run("rebuild")
            assert code == 1
            assert "another rebuild of this service is running" in output
        assert_clean(rig)
    with serving(rig, free_port, until, "--only", "http"):
        output = assert_equal_rebuild(rig)
    for model in MODELS:
        assert f"rebuild: {model}: equal" in output
    assert_equal_rebuild(rig, "daily_flow", "open_tickets")


def test_a_builder_that_was_killed_half_way_leaves_nothing_wrong(rig: Any, make_story: Any) -> None:
    rig.tell(make_story(4).live(tickets=60, events=5000))
    rig.read_all()
    before = rig.state()
    process = rig.command("rebuild")
    for line in process.stdout:
        if line.startswith("rebuild: read ") and not line.startswith("rebuild: read 0 "):
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    reached, wanted = (
        rig.ask("SELECT coalesce(sum(next_offset), 0) FROM positions WHERE reader = %s", (reader,))[0][0]
        for reader in (REBUILDER, READER)
    )
    assert 0 < reached < wanted
    assert rig.state() == before
    # What was left does not stand in the way of a migration or of the live reader.
    code, output = rig.run("migrate")
    assert code == 0, output
    rig.tell(make_story(5).live(tickets=3, events=10))
    rig.read_all()
    assert_equal_rebuild(rig)


def test_a_builder_that_was_killed_takes_its_processes_with_it(rig: Any, make_story: Any, until: Any) -> None:
    rig.tell(make_story(14).live(tickets=60, events=5000))
    rig.read_all()
    before = rig.state()
    several = (
        "from deskline_analytics import commands, rebuild; rebuild.processes_for = lambda _: 3;"
        " commands.rebuild_command([])"
    )
    builder = subprocess.Popen(
        [sys.executable, "-c", several], env=rig.environment(), stdout=subprocess.DEVNULL
    )
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = %s"
    reached = "SELECT coalesce(sum(next_offset), 0) FROM positions WHERE reader = %s"
    try:
        until(lambda: rig.ask(held, (PROCESSES_LOCK,)) == [(3,)], "three processes read")
        until(lambda: rig.ask(reached, (REBUILDER,))[0][0] > 0, "they have applied something")
    finally:
        builder.kill()
        builder.wait(30)
    assert rig.ask(held, (PROCESSES_LOCK,))[0][0] > 0, "they ended before their command did"
    # They hear of it with the next line that they tell; whether they still write or not, nothing is wrong.
    code, output = rig.run("rebuild")
    assert code == 0, output
    assert rig.state() == before
    assert rig.ask(held, (PROCESSES_LOCK,)) == [(0,)]
    assert_clean(rig)


def test_the_live_reader_stands_still_while_a_rebuild_compares(rig: Any, make_story: Any, until: Any) -> None:
    rig.tell(make_story(12).live(tickets=2, events=5))
    with reader_paused(rig.analytics.owner_url, READER) as rebuild:
        rig.start_reader()
        blocked = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database ="
        until(
            lambda: (
                rebuild.execute(
                    f"{blocked} (SELECT oid FROM pg_database WHERE datname = current_database())"
                ).fetchone()
                is not None
            ),
            "the reader stands at the lock",
        )
        assert rig.state() == {model: [] for model in MODELS}
    rig.wait_applied()
    rig.stop_reader()
    assert_equal_rebuild(rig)


def test_a_rebuild_ends_where_the_live_reader_stands(rig: Any, make_story: Any, until: Any) -> None:
    story = make_story(13).live(tickets=4, events=20)
    rig.tell(story)
    rig.read_all()
    begin = len(story.told)
    story.live(tickets=4, events=20)
    rig.tell(story, begin=begin)
    for owner in rig.owners.values():
        with owner.database.transaction() as connection:
            (last,) = connection.execute("SELECT max(id) FROM events").fetchone()

        def announced(owner: Any = owner, last: int = last) -> bool:
            with owner.database.transaction() as connection:
                return bool(connection.execute("SELECT position FROM relay").fetchone() == (last,))

        until(announced, "all is on the topics")
    assert_equal_rebuild(rig)
    rig.read_all()
    assert rig.ask("SELECT count(*) FROM open_tickets") == [(8,)]
    assert_equal_rebuild(rig)


def test_a_rebuild_waits_for_the_processes_of_one_that_was_killed(rig: Any, until: Any) -> None:
    url = rig.analytics.owner_url
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"
    with (
        psycopg.connect(url, autocommit=True) as left,
        psycopg.connect(url, autocommit=True) as next_one,
        ThreadPoolExecutor(1) as thread,
    ):
        join_rebuild(left)
        taking = thread.submit(take_for_rebuild, next_one)
        until(lambda: rig.ask(waiting, (PROCESSES_LOCK,)), "it waits")
        left.close()
        assert taking.result(30)
        join_rebuild(next_one)
