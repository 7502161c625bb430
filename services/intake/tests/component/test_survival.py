"""What was acknowledged is announced, in order, whoever dies and however many read."""

import signal
import smtplib
import threading
import time

import psycopg
import pytest
from services.intake.tests.kit import KEK, Intake, Process, deliver, in_threads, mail, send, until

from deskline_chassis.event_log import EventLog
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_intake.adapters.objects import ObjectKeeper, open_objects
from deskline_intake.adapters.registry import PostgresRegistry
from deskline_intake.opening import MailOpener, OpenedMail
from deskline_intake.ports import ReadMail, Turn
from deskline_intake.reading import Bell, MailReader

pytestmark = pytest.mark.component


def texts_by_stream(intake: Intake) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    messages = [e for e in intake.events() if e.envelope.type.endswith("MessageReceived.v1")]
    for event in sorted(messages, key=lambda e: e.envelope.sequence):
        found.setdefault(str(event.envelope.subject), []).append(event.data["text"])
    return found


def test_sigkill_between_250_and_reading_loses_nothing(intake: Intake) -> None:
    intake.add_line()
    door = intake.start("--only", "smtp")
    ids = [send(door, mail(f"{n}")) for n in range(5)]
    door.kill()
    assert intake.sql("SELECT count(*) FROM raw_messages WHERE state = 'received'") == [(5,)]
    intake.start()
    assert {e.data["raw_id"] for e in intake.messages(5)} == set(ids)


def mail_until_killed(process: Process, accepted: set[str]) -> None:
    """Six clients send without end; SIGKILL comes in the middle."""
    before, killed = len(accepted), threading.Event()

    def work(number: int) -> None:
        if number == 0:
            until(lambda: len(accepted) > before + 40)
            killed.set()
            process.kill()
            return
        try:
            with process.client() as client:
                while True:
                    accepted.add(deliver(client, mail(sender=f"u{number}@client.example")))
        except (smtplib.SMTPException, OSError):
            assert killed.is_set()

    in_threads(6, work)


def test_sigkill_while_mail_comes_in_loses_nothing_and_doubles_nothing(intake: Intake) -> None:
    intake.add_line()
    accepted: set[str] = set()
    for _ in range(3):
        process = intake.start()
        assert process.smtp_port
        mail_until_killed(process, accepted)
    intake.start()
    intake.settled(60)
    announced = [e.data["raw_id"] for e in intake.events() if e.envelope.type.endswith("MessageReceived.v1")]
    assert len(announced) >= len(accepted) >= 120
    # The relay may repeat a record after a crash, under the same sequence; the store has each once.
    effects = intake.sql(
        "SELECT data->>'raw_id' FROM events WHERE type = 'deskline.intake.MessageReceived.v1'"
    )
    found = [raw_id for (raw_id,) in effects]
    assert len(found) == len(set(found))
    assert accepted <= set(found), "what was answered with 250 is announced"


def test_one_senders_messages_keep_their_order_with_two_replicas(intake: Intake) -> None:
    intake.add_line()
    doors = [intake.start(), intake.start()]
    large = "\r\n" + "слово " * 60_000

    def work(number: int) -> None:
        for turn in range(30):
            body = f"{turn}" + (large if turn == number + 3 else "")
            send(doors[turn % 2], mail(body, sender=f"u{number}@client.example"))

    in_threads(6, work)
    intake.settled(60)
    streams = texts_by_stream(intake)
    assert len(streams) == 6
    expected = [str(turn) for turn in range(30)]
    assert [[text.partition("\n")[0] for text in texts] for texts in streams.values()] == [expected] * 6


def test_a_stopped_replicas_lanes_are_taken_over_and_it_does_no_harm_later(intake: Intake) -> None:
    intake.add_line()
    stopped = intake.start(DESKLINE_INTAKE_PARSE_SECONDS="30")
    # Held open by us: the stopped one's turn is in the middle of reading.
    with psycopg.connect(intake.database.owner_url) as blocker:
        blocker.execute("SELECT pg_advisory_xact_lock(%s)", (0x4C4F47,))
        for number in range(5):
            send(stopped, mail(f"{number}"))
        until(lambda: intake.sql("SELECT count(*) FROM lanes WHERE holder IS NOT NULL") == [(1,)])
        stopped.child.send_signal(signal.SIGSTOP)
    intake.start()
    try:
        intake.settled(60)
    finally:
        stopped.child.send_signal(signal.SIGCONT)
    send(stopped, mail("5"))
    intake.settled(30)
    assert list(texts_by_stream(intake).values()) == [[str(n) for n in range(6)]]


def test_a_reader_whose_lease_ran_out_finds_its_mail_dealt_with(intake: Intake) -> None:
    intake.add_line()
    door = intake.start("--only", "smtp")
    send(door, mail("x"))
    database = Database(intake.database.runtime_url, "test")
    database.open()
    objects = ObjectKeeper(open_objects(intake.environment["DESKLINE_INTAKE_OBJECT_STORE"]))

    def reader(opener: MailOpener) -> MailReader:
        log = EventLog("intake", KeyRing(KEK))
        return MailReader(database, log, PostgresRegistry(), opener, Bell(), heavy=False)

    class Overtaken(MailOpener):
        def keep(self, opened: OpenedMail, turn: Turn) -> ReadMail:
            intake.sql("UPDATE lanes SET held_until = to_timestamp(0)")
            assert reader(MailOpener(database, objects, frozenset(), 20)).read_some() == 1
            return super().keep(opened, turn)

    try:
        reader(Overtaken(database, objects, frozenset(), 20)).read_some()
    finally:
        database.close()
    assert intake.sql("SELECT count(*) FROM events WHERE type LIKE '%%MessageReceived%%'") == [(1,)]
    assert intake.sql("SELECT state, duplicate_of FROM raw_messages") == [("parsed", None)]


def test_a_lane_that_fails_again_and_again_is_read_with_care(intake: Intake) -> None:
    intake.add_line()
    door = intake.start("--only", "smtp")
    send(door, mail("x"))
    door.stop()
    intake.sql("UPDATE lanes SET tries = 3")
    intake.start(DESKLINE_INTAKE_PARSE_SECONDS="0.01")
    (event,) = intake.messages(1)
    assert event.data["problems"][0] == "parser_timeout", "it was read in a child, which was killed"


def test_object_store_away_is_waited_for(intake: Intake) -> None:
    intake.add_line()
    process = intake.start()
    folder = intake.folder / "objects"
    assert process.smtp_port
    folder.rmdir()
    folder.write_text("in the way")
    send(process, mail("слово " * 20_000))
    until(lambda: '"reading mail waits"' in process.log)
    folder.unlink()
    folder.mkdir()
    (event,) = intake.messages(1)
    assert event.data["text_object"] is not None
    assert event.data["problems"] == []


def test_sigterm_ends_cleanly_within_ten_seconds(intake: Intake) -> None:
    intake.add_line()
    process = intake.start()
    with process.client() as client:
        client.ehlo()
        started = time.monotonic()
        process.child.terminate()
        assert process.child.wait(10) == 0
        assert time.monotonic() - started < 10
        assert client.getreply()[0] == 421
    assert not [line for line in process.log.splitlines() if '"level":"error"' in line]
