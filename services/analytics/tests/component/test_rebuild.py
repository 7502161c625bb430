"""A rebuilt read model equals the live one, whatever happened to the topics, the reader or the builder."""

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg
import pytest

from deskline_analytics import commands, rebuild, rebuilding
from deskline_analytics.adapters.erasing import forget_while_serving
from deskline_analytics.adapters.serving_lock import (
    PROCESSES_LOCK,
    join_rebuild,
    reader_paused,
    take_for_rebuild,
)
from deskline_analytics.consumer import READER, REBUILDER, live_reader
from deskline_analytics.domain.models import MODELS
from deskline_chassis.applying import ReaderSpec
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.reader import Reader
from deskline_chassis.republish import republish
from deskline_events.facts import Fact

pytestmark = pytest.mark.component


class FromTheFuture(Fact):
    """Of a type that no reader knows yet."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketMerged.v7"


def assert_clean(rig: Any) -> None:
    """A rebuild leaves nothing behind."""
    assert rig.as_owner("SELECT tablename FROM pg_tables WHERE schemaname = 'rebuilt'") == []
    for table in ("positions", "reader_streams", "waiting_records", "parked_records"):
        assert rig.ask(f"SELECT count(*) FROM {table} WHERE reader = %s", (REBUILDER,)) == [(0,)]


def assert_equal_rebuild(rig: Any, *arguments: str) -> str:
    before = rig.state()
    code, output = rig.run("rebuild", *arguments)
    assert code == 0, output
    assert ": different" not in output
    assert rig.state() == before
    assert_clean(rig)
    return str(output)


def assert_equal_in_small_batches(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild in this process that meets its seeks: in one large batch there would be none."""
    monkeypatch.setattr(rebuilding, "BATCH", 4)
    assert_equal_in_this_process(rig, monkeypatch)


def assert_equal_in_processes(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild that three processes come close with, as with many records."""
    asked: list[int] = []

    def many(records: int) -> int:
        asked.append(records)
        return 3

    monkeypatch.setattr(rebuild, "processes_for", many)
    assert_equal_in_this_process(rig, monkeypatch)
    assert asked == [sum(offset for (offset,) in rig.ask("SELECT next_offset FROM positions"))]


def assert_equal_in_this_process(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rig.state()
    for name, value in rig.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(commands, "configure_logging", lambda *_: None)
    commands.rebuild_command([])
    assert rig.state() == before
    assert_clean(rig)


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


def test_differences_are_listed_and_taken_only_when_accepted(rig: Any, make_story: Any) -> None:
    rig.tell(make_story(2).live(tickets=40, events=60))
    rig.read_all()
    right = rig.state()
    rig.as_owner("UPDATE open_tickets SET stage = 'spam'")
    rig.as_owner("DELETE FROM ticket_timeline WHERE sequence = 1")
    rig.as_owner("INSERT INTO freshness VALUES ('nobody', '2026-01-01Z')")
    wrong = rig.state()
    code, output = rig.run("rebuild")
    assert code == 1, output
    assert rig.state() == wrong
    assert_clean(rig)
    assert output.count(": changed\n") == 20
    assert output.count(": only rebuilt\n") == 20
    assert "  nobody: only live\n" in output
    assert "daily_flow: equal" in output
    code, output = rig.run("rebuild", "open_tickets", "--accept-differences")
    assert code == 0, output
    assert rig.state() == wrong | {"open_tickets": right["open_tickets"]}
    code, output = rig.run("rebuild", "--accept-differences")
    assert code == 0, output
    assert rig.state() == right
    with psycopg.connect(rig.analytics.readonly_url) as readonly:
        (count,) = readonly.execute("SELECT count(*) FROM analyst.tickets").fetchone() or (0,)
    assert count == 40
    assert_equal_rebuild(rig)


def test_an_emptied_table_comes_back(rig: Any, make_story: Any) -> None:
    rig.tell(make_story(3).live(tickets=5, events=20))
    rig.read_all()
    right = rig.state()
    for model in MODELS:
        rig.as_owner(f"TRUNCATE {model}")
    code, output = rig.run("rebuild", "--accept-differences")
    assert code == 0, output
    assert rig.state() == right


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


def test_a_stream_that_is_parked_in_both_changes_nothing(rig: Any, make_story: Any) -> None:
    story = make_story(6).live(tickets=5, events=20)
    ticket_id = next(iter(story.tickets))
    story.say("tickets", ticket_id, FromTheFuture())
    story.answer(ticket_id)
    rig.tell(story)
    rig.read_all()
    assert rig.ask("SELECT DISTINCT subject FROM parked_records") == [(ticket_id,)]
    output = assert_equal_rebuild(rig)
    assert "readable now" not in output
    assert rig.ask("SELECT count(*) FROM parked_records WHERE reader = %s", (READER,)) == [(2,)]


def test_streams_parked_live_and_readable_now_are_told_and_taken_whole(rig: Any, make_story: Any) -> None:
    story = make_story(7).live(tickets=6, events=30)
    ticket_id = next(iter(story.tickets))
    story.answer(ticket_id)
    rig.tell(story)
    sound = live_reader()

    def broken(transaction: Any, received: Any) -> None:
        if any(one.envelope.subject == ticket_id and one.envelope.sequence == 2 for one in received):
            raise ValueError(ticket_id)
        sound.apply(transaction, received)

    spec = ReaderSpec(sound.name, sound.owners, sound.key_owners, sound.types, broken)
    reader = Reader(spec, rig.database, KeyRing(bytes(range(32))), rig.broker, instance="t")
    rig.loops.start("broken", reader.run)
    rig.wait_applied()
    rig.loops.stop("broken")
    wrong = rig.state()
    code, output = rig.run("rebuild")
    assert code == 1
    assert f"parked live, readable now: tickets {ticket_id}" in output
    assert "streams: different" in output
    code, output = rig.run("rebuild", "open_tickets", "--accept-differences")
    assert code == 1
    assert "only be taken together" in output
    assert rig.state() == wrong
    code, output = rig.run("rebuild", "--accept-differences")
    assert code == 0, output
    assert rig.ask("SELECT count(*) FROM parked_records") == [(0,)]
    assert rig.ask("SELECT count(*) FROM reader_streams WHERE parked") == [(0,)]
    # The live reader goes on from what was taken.
    begin = len(story.told)
    story.answer(ticket_id)
    rig.tell(story, begin=begin)
    rig.read_all()
    count = sum((owner, stream) == ("tickets", ticket_id) for owner, stream, _ in story.told)
    assert rig.ask("SELECT version FROM open_tickets WHERE ticket_id = %s", (ticket_id,)) == [(count,)]
    assert_equal_rebuild(rig)


def test_repeats_of_a_higher_epoch_change_nothing(
    rig: Any, make_story: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = make_story(8).live(tickets=5, events=40)
    rig.tell(story)
    rig.read_all()
    for owner in rig.owners.values():
        assert republish(owner.database, restored=False) == 2
    begin = len(story.told)
    story.live(tickets=2, events=10)
    rig.tell(story, begin=begin)
    with rig.reading():
        rig.wait_applied()
        whole = 2 * sum(owner.count() for owner in rig.owners.values()) - len(story.told[begin:])
        position = "SELECT sum(next_offset) FROM positions WHERE topic LIKE '%.events'"
        until(lambda: rig.ask(position)[0][0] >= whole, "the repeats are read")
    assert rig.ask("SELECT DISTINCT epoch FROM positions WHERE topic LIKE '%.tickets.events'") == [(2,)]
    assert_equal_rebuild(rig)
    assert_equal_in_processes(rig, monkeypatch)
    assert_equal_in_small_batches(rig, monkeypatch)


def test_after_a_restore_only_what_was_announced_since_is_true(
    rig: Any, make_story: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = make_story(9).live(tickets=4, events=10)
    rig.tell(story)
    kept = len(story.told)
    ticket_id = next(iter(story.tickets))
    story.answer(ticket_id)
    rig.tell(story, begin=kept)
    rig.read_all()
    lost = sum((owner, stream) == ("tickets", ticket_id) for owner, stream, _ in story.told)
    tickets = rig.owners["tickets"]
    with psycopg.connect(tickets.owner_url) as connection:
        connection.execute("DELETE FROM events WHERE stream = %s AND sequence = %s", (ticket_id, lost))
        connection.execute("UPDATE streams SET last = last - 1 WHERE subject = %s", (ticket_id,))
    republish(tickets.database, restored=True)
    del story.told[kept:]
    story.prioritise(ticket_id)
    rig.tell(story, begin=kept)
    position = "SELECT sum(next_offset) FROM positions WHERE topic LIKE '%.tickets.events'"
    whole = 2 * tickets.count()
    with rig.reading():
        until(lambda: rig.ask(position)[0][0] >= whole, "the restored log is read")
    version = "SELECT version, priority, operator_messages FROM open_tickets WHERE ticket_id = %s"
    live = rig.ask(version, (ticket_id,))
    code, output = rig.run("rebuild", "--accept-differences")
    assert code == 0, output
    rebuilt = rig.ask(version, (ticket_id,))
    assert rebuilt == [(lost, "critical", live[0][2] - 1)]
    generations = "SELECT DISTINCT generation FROM positions WHERE topic LIKE '%.tickets.events'"
    assert rig.ask(generations) == [(2,)]
    assert_equal_rebuild(rig)
    assert_equal_in_processes(rig, monkeypatch)
    assert_equal_in_small_batches(rig, monkeypatch)


def test_an_erased_person_is_erased_in_both(rig: Any, make_story: Any, until: Any) -> None:
    story = make_story(10).live(tickets=6, events=20)
    rig.tell(story)
    rig.start_reader()
    rig.wait_applied()
    contact_id = story.contacts[0]
    intake = rig.owners["intake"]
    with intake.database.transaction() as connection:
        intake.log.lock(connection)
        assert intake.keys.erase(connection, contact_id)
    intake.bell.ring()
    rig.loops.start("erasing", forget_while_serving(rig.database))
    subjects = "SELECT subject FROM open_tickets WHERE contact_id = %s"
    until(lambda: set(rig.ask(subjects, (contact_id,))) == {("erased",)}, "the subject is blanked")
    assert rig.ask("SELECT count(*) FROM open_tickets WHERE subject <> 'erased'")[0][0] > 0
    rig.stop_reader()
    rig.loops.stop("erasing")
    assert_equal_rebuild(rig)


def test_a_topic_that_holds_less_than_was_applied_is_refused(rig: Any, make_story: Any) -> None:
    rig.tell(make_story(11).live(tickets=3, events=5))
    rig.read_all()
    before = rig.state()
    rig.as_owner("UPDATE positions SET next_offset = next_offset + 1000")
    code, output = rig.run("rebuild", "--accept-differences")
    assert code == 1
    assert "fewer than were applied" in output
    assert rig.state() == before


def test_an_unknown_model_is_refused(shared_rig: Any) -> None:
    code, output = shared_rig.run("rebuild", "tickets")
    assert code == 2
    assert "choose from open_tickets" in output


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


def test_an_empty_service_is_equal_to_its_rebuild(rig: Any) -> None:
    assert_equal_rebuild(rig)
