"""Erasures while mail is on its way: taken and unread, being read, or coming in without pause."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from services.intake.tests.erased import (
    CANARY,
    OTHER,
    SENDER,
    contact_of,
    effects,
    erased_facts,
    leaks,
    letter,
    with_attachment,
)
from services.intake.tests.kit import KEK, Intake, Process, deliver, mail, send, until

from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_intake.adapters.objects import ObjectKeeper, open_objects
from deskline_intake.adapters.registry import PostgresRegistry
from deskline_intake.handlers.erasing import Eraser
from deskline_intake.opening import MailOpener, OpenedMail
from deskline_intake.ports import ReadMail, StoredMail, Turn
from deskline_intake.reading import Bell, MailReader

pytestmark = pytest.mark.component


@pytest.fixture
def door(intake: Intake) -> Process:
    intake.add_line()
    return intake.start()


@pytest.fixture
def eraser(intake: Intake) -> Iterator[Eraser]:
    """An erasure in this process, while no service runs, or another one does."""
    database = Database(intake.database.runtime_url, "test")
    database.open()
    yield Eraser(database, EventLog("intake", KeyRing(KEK)), PostgresRegistry())
    database.close()


def cause() -> Cause:
    return Cause(uuid4())


def test_what_was_accepted_and_not_read_yet_is_announced_empty(intake: Intake) -> None:
    """It has its one effect and nothing in it, whether the reader was at it or not."""
    intake.add_line()
    intake.add_line("sales@desk.example", "Sales", "en")
    form = intake.add_form()
    first = intake.start()
    send(first, letter(), sender=SENDER)
    intake.settled()
    first.stop()
    door = intake.start("--only", "smtp,relay,sweeper")
    ids = [send(door, with_attachment(), sender=SENDER), send(door, with_attachment(), sender=SENDER)]
    ids.append(send(door, letter(), to="sales@desk.example", sender=SENDER))
    ids.append(send(door, letter(f"{CANARY} " * 30_000), sender=SENDER))
    ids.append(send(door, letter(sender="nobody at all", message_id=""), sender=SENDER))
    ids.append(door.post_form(form, address=SENDER, text=CANARY).json()["message_id"])
    # A field that is longer than what came first puts the sender out of the door's sight, and lane.
    far = b"X-Filler: " + b"x" * 150_000 + b"\r\n" + letter()
    ids.append(send(door, far, sender="relay@elsewhere.example"))
    intake.sql("UPDATE raw_messages SET lane = (lane + 1) %% 64 WHERE raw_id = %s", ids[-1])
    strangers = send(door, mail("чужое", sender=OTHER))
    contact = contact_of(intake)

    assert door.erase(contact).status_code == 200

    intake.settled_but(1)
    assert not leaks(intake)
    announced = dict(effects(intake))
    assert set(ids) - set(announced) == {ids[1]}, "a repeated delivery has the effect of the first"
    assert intake.sql("SELECT duplicate_of::text FROM raw_messages WHERE raw_id = %s", ids[1]) == [(ids[0],)]
    emptied = {e.data["raw_id"]: e.data for e in intake.events() if e.data.get("raw_id") in ids}
    assert {d["contact_id"] for d in emptied.values()} == {str(contact)}
    assert {tuple(d["problems"]) for d in emptied.values()} == {("person_erased",)}
    assert {d["text"] for d in emptied.values()} == {"erased"}
    door.stop()
    last = intake.start()
    intake.settled()
    assert strangers in dict(effects(intake))
    assert len(effects(intake)) == 8

    # The same mail comes once more: it had its effect, and nothing of it is kept.
    again = send(last, with_attachment(), sender=SENDER)
    intake.settled()
    assert len(effects(intake)) == 8
    assert intake.sql("SELECT duplicate_of::text FROM raw_messages WHERE raw_id = %s", again) == [(ids[0],)]
    assert not leaks(intake)


class _Interrupted(MailOpener):
    """Erases the sender when a mail is read and its objects are written, before it can be announced."""

    erase: Any = None

    def keep(self, opened: OpenedMail, turn: Turn) -> ReadMail:
        kept = super().keep(opened, turn)
        self.erase()
        return kept


@pytest.mark.parametrize("crash", [False, True], ids=["goes on", "crashes"])
def test_a_mail_that_is_being_read_ends_as_erased(intake: Intake, eraser: Eraser, crash: bool) -> None:
    intake.add_line()
    first = intake.start()
    send(first, letter())
    intake.settled()
    first.stop()
    door = intake.start("--only", "smtp")
    raw_id = send(door, with_attachment())
    door.stop()
    contact = contact_of(intake)
    objects = ObjectKeeper(open_objects(intake.environment["DESKLINE_INTAKE_OBJECT_STORE"]))

    def erase() -> None:
        assert leaks(intake) >= {"objects"}, "its attachment is there, announced by nobody"
        eraser.erase(contact, cause())
        if crash:
            raise KeyboardInterrupt

    database = Database(intake.database.runtime_url, "test-reader")
    database.open()
    opener = _Interrupted(database, objects, frozenset(), 20)
    opener.erase = erase
    log = EventLog("intake", KeyRing(KEK))
    reader = MailReader(database, log, PostgresRegistry(), opener, Bell(), heavy=False)
    try:
        if crash:
            with pytest.raises(KeyboardInterrupt):
                reader.read_some()
            assert leaks(intake) == {"objects"}
        else:
            reader.read_some()
            assert not leaks(intake), "the reader takes away what it wrote"
    finally:
        database.close()
    assert [found for found, _ in effects(intake)].count(raw_id) == 1
    intake.start()
    until(lambda: not leaks(intake), 20)
    assert [found for found, _ in effects(intake)].count(raw_id) == 1


class _Emptied(MailOpener):
    """Erases the sender when a mail was taken to be read, before its bytes are looked at."""

    erase: Any = None

    def open(
        self, mail: StoredMail, raws: Mapping[UUID, bytes], turn: Turn, files: contextlib.ExitStack
    ) -> OpenedMail:
        self.erase()
        return super().open(mail, {}, turn, files)


@pytest.mark.parametrize("heavy", [False, True], ids=["light", "heavy"])
def test_a_mail_whose_bytes_vanish_before_it_is_read_ends_as_erased(
    intake: Intake, eraser: Eraser, heavy: bool
) -> None:
    intake.add_line()
    first = intake.start()
    send(first, letter())
    intake.settled()
    first.stop()
    door = intake.start("--only", "smtp")
    raw_id = send(door, letter(f"{CANARY} " * (30_000 if heavy else 1)))
    door.stop()
    contact = contact_of(intake)
    objects = ObjectKeeper(open_objects(intake.environment["DESKLINE_INTAKE_OBJECT_STORE"]))
    database = Database(intake.database.runtime_url, "test-reader")
    database.open()
    opener = _Emptied(database, objects, frozenset(), 20)
    opener.erase = lambda: eraser.erase(contact, cause())
    log = EventLog("intake", KeyRing(KEK))
    try:
        MailReader(database, log, PostgresRegistry(), opener, Bell(), heavy=heavy).read_some()
    finally:
        database.close()
    assert [found for found, _ in effects(intake)].count(raw_id) == 1
    assert intake.sql("SELECT count(*) FROM lanes WHERE holder IS NOT NULL") == [(0,)]
    assert not leaks(intake)


def test_erasures_while_mail_comes_in_leave_each_mail_one_effect(intake: Intake, door: Process) -> None:
    """Mails of one person arrive without pause while they are erased again and again."""
    accepted: list[str] = []
    over = threading.Event()

    def write() -> None:
        with door.client() as client:
            while not over.is_set():
                accepted.append(deliver(client, letter(), sender=SENDER))

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(8):
        erased = erased_facts(intake)
        until(lambda: intake.sql("SELECT 1 FROM identities WHERE address = %s", SENDER))
        assert door.erase(contact_of(intake)).status_code == 200
        assert erased_facts(intake) == erased + 1
    over.set()
    writer.join()
    intake.settled(60)
    found = [raw_id for raw_id, _ in effects(intake)]
    assert len(accepted) > 20
    assert sorted(found) == sorted(accepted)
    rest = intake.sql("SELECT contact_id FROM identities WHERE address = %s", SENDER)
    for (contact,) in rest:
        assert door.erase(contact).status_code == 200
    until(lambda: not leaks(intake))
