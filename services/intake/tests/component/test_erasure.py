"""A person who was erased is readable nowhere, and everything that was accepted still has its one effect."""

import base64
import contextlib
import functools
import shutil
import threading
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from services.intake.tests.kit import KEK, LINE, Intake, Process, deliver, mail, send, until

from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_events.intake import MessageReceived
from deskline_intake.adapters.objects import ObjectKeeper, open_objects
from deskline_intake.adapters.registry import PostgresRegistry
from deskline_intake.handlers.erasing import Eraser
from deskline_intake.opening import MailOpener, OpenedMail
from deskline_intake.ports import ReadMail, StoredMail, Turn
from deskline_intake.reading import Bell, MailReader

pytestmark = pytest.mark.component

CANARY = "канарейка7319"
SENDER = "zinaida7319@client.example"
OTHER = "boris@client.example"
MARKS = [
    form.encode()
    for text in (CANARY, "zinaida", "зинаида", "attached7319")
    for form in (
        text,
        text.upper(),
        text.capitalize(),
        base64.b64encode(text.encode()).decode().rstrip("=")[:-1],
    )
]


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


def letter(body: str = CANARY, **given: Any) -> bytes:
    return mail(body, **({"sender": f"Зинаида7319 <{SENDER}>", "subject": CANARY} | given))


@functools.cache
def with_attachment(message_id: str = "<attached7319@client.example>") -> bytes:
    message = EmailMessage()
    message["From"] = f"Зинаида <{SENDER}>"
    message["To"] = LINE
    message["Subject"] = CANARY
    message["Message-ID"] = message_id
    message.set_content(CANARY)
    message.add_attachment(CANARY.encode() * 50, "application", "pdf", filename=f"{CANARY}.pdf")
    return message.as_bytes().replace(b"\n", b"\r\n")


def tables(intake: Intake) -> Iterator[tuple[str, bytes]]:
    """Every value of every table, as bytes: texts in UTF-8, bytea as it is, all else as it is shown."""
    with psycopg.connect(intake.database.owner_url, autocommit=True) as connection:
        names = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert {"raw_messages", "events", "objects", "identities"} <= {name for _, name in names}
        for schema, name in names:
            cursor = connection.execute(f'SELECT * FROM "{schema}"."{name}"')
            for row in cursor:
                for value in row:
                    yield name, value if isinstance(value, bytes) else str(value).encode()


def files(intake: Intake) -> list[Path]:
    return [path for path in (intake.folder / "objects").rglob("*") if path.is_file()]


def leaks(intake: Intake) -> set[str]:
    """Where something of the person can be read."""
    found = {name for name, value in tables(intake) for mark in MARKS if mark in value}
    for path in files(intake):
        content = str(path).encode() + path.read_bytes()
        found |= {"objects" for mark in MARKS if mark in content}
    return found


def effects(intake: Intake) -> list[tuple[Any, ...]]:
    """What each accepted message became: raw id and source key."""
    return intake.sql(
        "SELECT data->>'raw_id', data->>'source_key' FROM events WHERE type = %s ORDER BY id",
        MessageReceived.TYPE,
    )


def contact_of(intake: Intake, address: str = SENDER) -> UUID:
    ((contact,),) = intake.sql("SELECT DISTINCT contact_id FROM identities WHERE address = %s", address)
    assert isinstance(contact, UUID)
    return contact


def erased_facts(intake: Intake) -> int:
    return int(intake.sql("SELECT count(*) FROM events WHERE type LIKE '%%PersonErased%%'")[0][0])


def test_nothing_of_an_erased_person_is_left(intake: Intake, door: Process) -> None:
    form = intake.add_form()
    intake.add_line("sales@desk.example", "Sales", "en")
    send(door, letter(), sender=SENDER)
    send(door, letter(), sender=SENDER, to=[LINE, "sales@desk.example"])
    for _ in range(2):
        send(door, with_attachment(), sender=SENDER)
    send(door, letter("слово " * 20_000 + CANARY), sender=SENDER)
    send(door, letter(f"{CANARY} " * 30_000), sender=SENDER)
    assert door.post_form(form, "z7319", address=SENDER, name=CANARY, text=CANARY).status_code == 202
    # Somebody else's mail, in an envelope of hers: the mail stays, the envelope does not.
    send(door, mail("чужое", sender=OTHER), sender=SENDER)
    intake.settled(60)
    contact = contact_of(intake)
    assert {"raw_messages", "identities", "objects"} <= leaks(intake), "there is something to erase"
    announced = effects(intake)

    answer = door.erase(contact)

    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["contact_id"] == str(contact)
    assert leaks(intake) <= {"objects"}
    until(lambda: not leaks(intake), 20)
    intake.settled()
    assert effects(intake) == announced
    ((kept,),) = intake.sql("SELECT raw FROM raw_messages WHERE raw IS NOT NULL")
    assert "чужое".encode() in kept
    events = intake.events()
    (fact,) = [e for e in events if e.envelope.type.endswith("PersonErased.v1")]
    assert (fact.envelope.subject, fact.data) == (contact, {"contact_id": str(contact)})
    assert fact.envelope.sequence == 2, "behind the contact's registration"
    theirs = [e for e in events if e.data.get("contact_id") == str(contact) and "text" in e.data]
    assert len(theirs) == 7
    assert {(e.data["text"], e.data["subject"]) for e in theirs} == {("erased", "erased")}
    assert door.find(SENDER).status_code == 404
    log = door.output.read_bytes()
    assert not [mark for mark in MARKS if mark in log]
    assert not [mark for mark in MARKS if mark in (intake.folder / "traces").read_bytes()]


def test_a_second_erasure_answers_the_same_and_announces_nothing(intake: Intake, door: Process) -> None:
    send(door, letter())
    send(door, mail(sender=OTHER))
    intake.settled()
    contact, other = contact_of(intake), contact_of(intake, OTHER)
    first = door.erase(contact, "k")
    assert first.status_code == 200
    assert door.erase(contact, "k").json() == first.json()
    assert door.erase(contact, "l").json() == first.json()
    by_command = intake.command("contact", "erase", str(contact))
    assert by_command.returncode == 0, by_command.stderr
    assert first.json()["erased_at"][:19] in by_command.stdout
    assert erased_facts(intake) == 1
    reused = door.erase(other, "k")
    assert (reused.status_code, reused.json()["code"]) == (422, "key_reused")
    for unknown in (uuid4(), UUID(int=0)):
        assert door.erase(unknown).json()["code"] == "contact_unknown"
    assert intake.command("contact", "erase", str(uuid4())).returncode == 1
    assert intake.sql("SELECT count(*) FROM raw_messages WHERE raw IS NULL") == [(1,)]


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


def test_objects_are_removed_after_a_crash_and_a_store_that_was_away(intake: Intake, door: Process) -> None:
    send(door, with_attachment())
    (event,) = intake.messages(1)
    kept = intake.folder / "objects" / event.data["attachments"][0]["content"]["key"]
    contact = contact_of(intake)
    door.stop()
    store, away = intake.folder / "objects", intake.folder / "away"
    done = intake.command("contact", "erase", str(contact))
    assert done.returncode == 0, done.stderr
    assert leaks(intake) == {"objects"}, "the process that erased is gone, the object is not"
    intake.sql("UPDATE object_removals SET due_at = due_at + interval '1 hour'")
    sweeper = intake.start("--only", "sweeper")
    until(lambda: sweeper.call("GET", "/readyz").status_code == 200)
    shutil.move(store, away)
    store.write_text("in the way")
    intake.sql("UPDATE object_removals SET due_at = clock_timestamp()")
    until(lambda: "waits" in sweeper.call("GET", "/readyz").text)
    store.unlink()
    shutil.move(away, store)
    until(lambda: not kept.exists())
    ((due, final),) = intake.sql("SELECT due_at > clock_timestamp(), due_at = final_at FROM object_removals")
    assert (due, final) == (True, True), "they are looked for once more"
    stray = kept.with_name("stray")
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(CANARY.encode())
    intake.sql("UPDATE object_removals SET due_at = clock_timestamp(), final_at = clock_timestamp()")
    until(lambda: intake.sql("SELECT count(*) FROM object_removals") == [(0,)])
    assert not stray.exists()


def test_new_mail_after_an_erasure_gets_a_new_contact(intake: Intake, door: Process) -> None:
    form = intake.add_form()
    send(door, letter("до"))
    intake.settled()
    before = contact_of(intake)
    assert door.erase(before).status_code == 200
    send(door, letter("после"))
    assert door.post_form(form, address=SENDER).status_code == 202
    intake.settled()
    after = contact_of(intake)
    assert after != before
    assert door.find(SENDER).json()["contact_id"] == str(after)
    latest = [e.data for e in intake.messages(3) if e.data["contact_id"] == str(after)]
    assert [d["text"] for d in latest if d["line"]["channel"] == "email"] == ["после"]
    assert sorted(d["customer"]["new"] for d in latest) == [False, True]
    assert door.erase(after).status_code == 200
    assert erased_facts(intake) == 2
    until(lambda: not leaks(intake))


def test_a_form_that_was_erased_is_answered_again_and_not_made_anew(intake: Intake) -> None:
    form = intake.add_form()
    door = intake.start()
    first = door.post_form(form, "k", address=SENDER, text=CANARY)
    intake.settled()
    assert door.erase(contact_of(intake)).status_code == 200
    assert intake.sql("SELECT count(*) FROM form_rates WHERE hits <> '{}'") == [(1,)], "the line's own"
    again = door.post_form(form, "k", address=SENDER, text=CANARY)
    assert (again.status_code, again.json()) == (202, first.json())
    intake.settled()
    assert len(effects(intake)) == 1
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


def test_hashes_in_sources_give_nothing_back(intake: Intake, door: Process) -> None:
    """All that is left of a message is SHA-256 over things that nobody can guess together."""
    send(door, letter(message_id="<z7319@client.example>"))
    intake.settled()
    assert door.erase(contact_of(intake)).status_code == 200
    ((source, base, named, size),) = intake.sql(
        "SELECT source_key, base_key, message_id_hash, octet_length(message_id_hash) FROM sources"
    )
    assert (len(source), len(base), size) == (64, 64, 32)
    assert not [mark for mark in MARKS if mark in f"{source}{base}{named!r}".encode()]


def test_only_an_admin_erases_and_only_staff_finds(intake: Intake, door: Process) -> None:
    send(door, letter())
    intake.settled()
    contact = contact_of(intake)
    every = ("operator", "lead", "admin", "analyst", "system", "customer")
    may_find = {"operator", "lead", "admin"}
    for role in every:
        found = door.call("POST", "/v1/contacts/find", role, json={"address": SENDER.upper()})
        assert found.status_code == (200 if role in may_find else 403), role
        listed = door.call("GET", "/v1/lines", role)
        assert listed.status_code == (200 if role in may_find else 403), role
        if role != "admin":
            refused = door.call("POST", f"/v1/contacts/{contact}/erase", role, json={}, key="k")
            assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted"), role
    assert erased_facts(intake) == 0
    no_key = door.call("POST", f"/v1/contacts/{contact}/erase", "admin", json={})
    assert (no_key.status_code, no_key.json()["code"]) == (400, "key_required")
    body = door.call("POST", f"/v1/contacts/{contact}/erase", "admin", json={"a": 1}, key="k")
    assert body.status_code == 422
    assert erased_facts(intake) == 0


def test_a_contact_is_found_by_address(intake: Intake, door: Process) -> None:
    send(door, letter())
    intake.settled()
    found = door.find(" Zinaida7319@CLIENT.example")
    company = intake.sql("SELECT company_id::text FROM companies")[0][0]
    assert found.headers["Cache-Control"] == "no-store"
    assert found.json() == {
        "contact_id": str(contact_of(intake)),
        "company_id": company,
        "tier": None,
        "locale": "ru",
        "verified": True,
    }
    assert door.find("nobody@client.example").json()["code"] == "contact_unknown"
    assert door.find("no address").status_code == 422
    by_query = door.call("GET", f"/v1/contacts/find?address={SENDER}", "operator")
    assert by_query.status_code in {404, 405}
    assert "inaida" not in door.log


def test_lines_are_shown_page_by_page(intake: Intake, door: Process) -> None:
    form = intake.add_form("--origin", "https://www.Desk.example:8443/")
    disabled = intake.add_line("old@desk.example", "Old", "en")
    assert intake.command("line", "disable", "--address", "OLD@desk.example").returncode == 0
    first = door.call("GET", "/v1/lines?limit=2", "operator").json()
    second = door.call("GET", f"/v1/lines?limit=2&cursor={first['next_cursor']}", "lead").json()
    shown = [*first["items"], *second["items"]]
    assert second["next_cursor"] is None
    assert [line["channel"] for line in shown] == ["email", "form", "email"]
    assert shown[1] == {
        "line_id": str(form),
        "name": "Форма на сайте",
        "channel": "form",
        "address": None,
        "language": "ru",
        "disabled": False,
        "origins": ["https://www.desk.example:8443"],
    }
    assert (shown[2]["line_id"], shown[2]["disabled"]) == (str(disabled), True)
    assert door.call("GET", "/v1/lines?cursor=x", "operator").json()["code"] == "bad_cursor"
    assert door.call("GET", "/v1/lines?limit=101", "operator").status_code == 422
    wrong = (
        ("--form", "--name", "x", "--origin", "www.desk.example"),
        ("--form", "--name", "x", "--origin", "https://a.example/path"),
        ("--name", "x", "--address", "a@b.example", "--origin", "https://a.example"),
        ("--form", "--name", "x", "--address", "nothing"),
        ("--name", "x"),
    )
    for options in wrong:
        assert intake.command("line", "add", *options).returncode == 1, options
