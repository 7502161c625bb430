"""A rebuilt read model equals the live one, whatever happened to the topics, the reader or the builder."""

from typing import Any, ClassVar

import psycopg
import pytest
from services.analytics.tests.rebuilds import (
    assert_clean,
    assert_equal_in_processes,
    assert_equal_in_small_batches,
    assert_equal_rebuild,
)

from deskline_analytics.adapters.erasing import forget_while_serving
from deskline_analytics.consumer import READER, live_reader
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


def test_an_empty_service_is_equal_to_its_rebuild(rig: Any) -> None:
    assert_equal_rebuild(rig)
