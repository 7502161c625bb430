"""A customer's mail becomes one MessageReceived with everything that its readers need."""

import base64
import functools
import hashlib
import os
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from services.intake.tests.kit import LINE, Intake, Process, mail, send, until

pytestmark = pytest.mark.component


@pytest.fixture
def door(intake: Intake) -> Process:
    intake.add_line()
    return intake.start()


def object_bytes(intake: Intake, stored: dict[str, Any]) -> bytes:
    content = (intake.folder / "objects" / str(stored["key"])).read_bytes()
    assert hashlib.sha256(content).hexdigest() == stored["sha256"]
    assert len(content) == stored["size"]
    return content


@functools.cache
def russian_html() -> bytes:
    message = EmailMessage()
    message["From"] = "Анна Иванова <Anna@Client.Example>"
    message["To"] = LINE
    message["Subject"] = "Счёт № 5"
    message["Message-ID"] = "<one@client.example>"
    message["In-Reply-To"] = "<parent@client.example>"
    message["References"] = "<root@client.example> <parent@client.example>"
    message.set_content("<p>Добрый день!</p><p>Счёт <b>не открывается</b>.</p>", "html", "windows-1251")
    message.add_attachment(b"%PDF-1.4 \x00\x01", "application", "pdf", filename="счёт.pdf")
    return message.as_bytes().replace(b"\n", b"\r\n")


def test_windows_1251_html_with_attachment_is_announced(intake: Intake, door: Process) -> None:
    raw_id = send(door, russian_html(), sender="Anna@client.example")

    (event,) = intake.messages(1)

    data = event.data
    assert data["raw_id"] == raw_id
    assert "Счёт не открывается." in data["text"]
    assert data["subject"] == "Счёт № 5"
    assert data["kind"] == "human"
    assert data["line"]["language"] == "ru"
    assert data["references"] == "root@client.example parent@client.example"
    assert data["customer"] | {"company_id": None} == {
        "contact_id": data["contact_id"],
        "company_id": None,
        "tier": None,
        "locale": "ru",
        "new": True,
        "verified": True,
    }
    assert data["line"]["address"] == LINE
    (attachment,) = data["attachments"]
    assert attachment["filename"] == "счёт.pdf"
    assert attachment["media_type"] == "application/pdf"
    assert object_bytes(intake, attachment["content"]) == b"%PDF-1.4 \x00\x01"
    assert intake.sql("SELECT key FROM objects") == [(attachment["content"]["key"],)]
    ((stored,),) = intake.sql("SELECT raw FROM raw_messages")
    assert stored == russian_html()


def test_contact_and_company_are_registered_before_the_message(intake: Intake, door: Process) -> None:
    for sender in ("anna@client.example", "boris@client.example", "anna@client.example", "eva@mail.ru"):
        send(door, mail(sender=f"Имя <{sender}>"))
    intake.settled()
    events = intake.events()

    contacts = [e for e in events if e.envelope.type.endswith("ContactRegistered.v1")]
    companies = [e for e in events if e.envelope.type.endswith("CompanyRegistered.v1")]
    messages = [e for e in events if e.envelope.type.endswith("MessageReceived.v1")]
    assert sorted(c.data["address"] for c in contacts) == [
        "anna@client.example",
        "boris@client.example",
        "eva@mail.ru",
    ]
    assert {c.data["name"] for c in contacts} == {"Имя"}
    assert all(c.key.decode() == str(c.envelope.subject) == c.data["contact_id"] for c in contacts)
    (company,) = companies
    by_address = {c.data["address"]: c.data for c in contacts}
    assert by_address["anna@client.example"]["company_id"] == company.data["company_id"]
    assert by_address["eva@mail.ru"]["company_id"] is None
    identities = dict(intake.sql("SELECT identity_id, address FROM identities"))
    assert [identities[m.envelope.subject] for m in messages].count("anna@client.example") == 2
    anna = [m for m in messages if identities[m.envelope.subject] == "anna@client.example"]
    assert [m.envelope.sequence for m in anna] == [1, 2]
    assert [m.data["customer"]["new"] for m in anna] == [True, False]
    assert {m.envelope.correlation_id for m in messages} == {
        raw_id for (raw_id,) in intake.sql("SELECT raw_id FROM raw_messages")
    }


def test_second_delivery_announces_nothing_and_is_kept_as_a_duplicate(intake: Intake, door: Process) -> None:
    first = send(door, russian_html())
    second = send(door, b"Received: by relay.example; now\r\n" + russian_html())
    intake.settled()

    intake.messages(1)
    rows = {
        str(r): (s, str(d) if d else None)
        for r, s, d in intake.sql("SELECT raw_id, state, duplicate_of FROM raw_messages")
    }
    assert rows == {first: ("parsed", None), second: ("parsed", first)}
    assert intake.sql("SELECT count(*) FROM objects") == [(1,)]
    files = [p for p in (intake.folder / "objects").rglob("*") if p.is_file()]
    assert len(files) == 1, "a repeated delivery leaves no object behind"


def test_two_deliveries_in_one_batch_have_one_effect(intake: Intake) -> None:
    intake.add_line()
    door = intake.start("--only", "smtp")
    for _ in range(3):
        send(door, russian_html())
    door.stop()
    intake.start()
    intake.settled()
    intake.messages(1)
    assert len([p for p in (intake.folder / "objects").rglob("*") if p.is_file()]) == 1


def test_same_message_id_with_another_body_is_kept_and_flagged(intake: Intake, door: Process) -> None:
    for body in ("первое", "второе"):
        send(door, mail(body, message_id="<same@client.example>"))
    first, second = sorted(intake.messages(2), key=lambda e: e.envelope.sequence)
    assert (first.data["text"], first.data["repeated_message_id"]) == ("первое", False)
    assert (second.data["text"], second.data["repeated_message_id"]) == ("второе", True)


def test_without_message_id_equal_mails_are_one_for_24_hours(intake: Intake, door: Process) -> None:
    alarm = mail("диск полон", message_id="", headers="Date: Mon, 2 Nov 2026 10:00:00 +0300")
    send(door, alarm)
    intake.settled()
    intake.sql("UPDATE raw_messages SET received_at = received_at - interval '23 hours 59 minutes'")
    send(door, alarm)
    intake.settled()
    intake.messages(1)

    intake.sql("UPDATE raw_messages SET received_at = received_at - interval '2 minutes'")
    send(door, alarm)
    events = intake.messages(2)
    assert len({e.data["source_key"] for e in events}) == 2

    send(door, alarm)
    intake.settled()
    intake.messages(2)


def test_one_mail_to_two_lines_is_two_messages_of_one_contact(intake: Intake, door: Process) -> None:
    second = "sales@desk.example"
    intake.add_line(second, "Sales", "en")
    send(door, mail(), to=[LINE, second, LINE.replace("@", "+abc@")])
    events = intake.messages(2)
    assert len({e.data["line"]["line_id"] for e in events}) == 2
    assert len({e.envelope.subject for e in events}) == 2
    assert len({e.data["contact_id"] for e in events}) == 1
    tokens = {e.data["line"]["language"]: e.data["reply_token"] for e in events}
    assert tokens == {"ru": "abc", "en": None}


def test_reply_token_is_found_in_the_envelope_or_in_the_recipients(intake: Intake, door: Process) -> None:
    plus = LINE.replace("@", "+tok3n@")
    send(door, mail("первое"), to=plus)
    send(door, mail("второе", to=plus))
    send(door, mail("третье", to=LINE.replace("@", "+не токен@")))
    found = {e.data["text"]: e.data["reply_token"] for e in intake.messages(3)}
    assert found == {"первое": "tok3n", "второе": "tok3n", "третье": None}


def test_long_text_is_an_object_with_an_excerpt(intake: Intake, door: Process) -> None:
    body = "Ж" * 60_000
    send(door, mail("\r\n".join(body[i : i + 60] for i in range(0, len(body), 60))))
    (event,) = intake.messages(1)
    whole = object_bytes(intake, event.data["text_object"]).decode()
    assert whole.replace("\n", "") == body
    assert len(event.data["text"].encode()) <= 16 * 1024
    assert whole.startswith(event.data["text"])


def test_event_with_everything_at_its_limit_fits(intake: Intake, door: Process) -> None:
    message = EmailMessage()
    message["From"] = f"{'Имя ' * 60}<anna@client.example>"
    message["To"] = LINE
    message["Subject"] = "Тема" * 200
    message["Message-ID"] = f"<{'i' * 490}@x>"
    message["References"] = "<here>"
    references = "\r\n ".join(f"<{n}{'r' * 480}@x>" for n in range(120)).encode()
    message.set_content("\n".join("ы" * 70 for _ in range(460)) + "\n> цитата\n", cte="base64")
    for number in range(60):
        message.add_attachment(
            b"x%d" % number, "application", "octet-stream", filename="ф" * 115 + f"{number}.b"
        )
    send(door, message.as_bytes().replace(b"\n", b"\r\n").replace(b"<here>", references))
    (event,) = intake.messages(1)
    assert len(event.value) < 256 * 1024
    assert len(event.data["attachments"]) == 50
    assert "attachment_dropped" in event.data["problems"]
    assert event.data["references"].split()[-1].startswith("119r")
    assert object_bytes(intake, event.data["raw"]).startswith(b"From:")


def test_mail_without_a_sender_gets_a_contact_of_its_own(intake: Intake, door: Process) -> None:
    for body in ("раз", "два"):
        send(door, mail(body, sender="nobody at all"), sender="")
    events = intake.messages(2)
    assert len({e.data["contact_id"] for e in events}) == 2
    assert len({e.envelope.subject for e in events}) == 2
    assert all("no_sender" in e.data["problems"] for e in events)
    assert intake.sql("SELECT count(*) FROM identities WHERE address IS NULL") == [(2,)]


def test_missing_from_is_stood_in_for_by_the_envelope(intake: Intake, door: Process) -> None:
    for _ in range(2):
        send(door, mail(sender="nobody"), sender="eva@client.example")
    assert len({e.data["contact_id"] for e in intake.messages(2)}) == 1


def test_kinds_of_automatic_mail_are_told(intake: Intake) -> None:
    intake.add_line()
    door = intake.start(DESKLINE_INTAKE_OWN_DOMAINS="desk.example")
    send(door, mail("a", headers="Auto-Submitted: auto-replied"))
    send(door, mail("b", headers="List-Id: <l.example>"))
    send(door, mail("c", sender="MAILER-DAEMON@x.example"), sender="")
    send(door, mail("d", message_id="<x@desk.example>"))
    send(door, mail("e", headers="X-Auto-Response-Suppress: All"))
    found = {e.data["text"]: (e.data["kind"], e.data["suppress_auto_reply"]) for e in intake.messages(5)}
    assert found == {
        "a": ("auto_reply", False),
        "b": ("list", False),
        "c": ("bounce", False),
        "d": ("own_loop", False),
        "e": ("human", True),
    }


def test_an_erased_contacts_new_mail_makes_a_new_contact(intake: Intake, door: Process) -> None:
    send(door, mail("до"))
    intake.settled()
    intake.sql(
        "UPDATE person_keys SET wrapped = NULL, version = NULL, erased_at = now(),"
        " change_id = nextval('person_key_changes')"
    )
    send(door, mail("после"))
    send(door, mail("потом"))
    intake.settled()
    contacts = [contact for (contact,) in intake.sql("SELECT contact_id FROM contacts")]
    assert len(contacts) == 2
    streams = intake.sql(
        "SELECT stream, count(*) FROM events WHERE type LIKE '%%MessageReceived%%' GROUP BY 1"
    )
    assert sorted(count for _, count in streams) == [1, 2], "the new contact has a stream of its own"
    assert intake.sql("SELECT count(*) FROM identities") == [(1,)]


def test_objects_that_no_message_has_are_swept_after_a_day(intake: Intake, door: Process) -> None:
    send(door, russian_html())
    (event,) = intake.messages(1)
    door.stop()
    folder = intake.folder / "objects" / "messages"
    kept = folder.parent / event.data["attachments"][0]["content"]["key"]
    old, young = folder / "orphan", folder / "young"
    for path in (old, young):
        path.write_bytes(b"x")
    for path in (old, kept):
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    intake.start()
    until(lambda: not old.exists())
    assert kept.exists()
    assert young.exists()


def test_sealed_fields_differ_from_their_text(intake: Intake, door: Process) -> None:
    send(door, mail("канарейка"))
    (event,) = intake.messages(1)
    assert "канарейка".encode() not in event.value
    assert base64.b64encode("канарейка".encode())[:12] not in event.value
    assert event.data["text"] == "канарейка"


def test_migration_declares_every_table(intake: Intake) -> None:
    rows = intake.sql(
        "SELECT relname, obj_description(oid) FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    )
    assert {"lines", "raw_messages", "sources", "identities", "contacts", "objects"} <= {
        name for name, _ in rows
    }
    assert all(comment.startswith(("truth", "read model")) for _, comment in rows)


def test_folder_of_the_object_store_is_made(intake: Intake, door: Process) -> None:
    assert door.smtp_port
    assert Path(intake.folder / "objects").is_dir()
