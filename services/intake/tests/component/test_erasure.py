"""A person who was erased is readable nowhere, and everything that was accepted still has its one effect."""

import shutil
from uuid import UUID, uuid4

import pytest
from services.intake.tests.erased import (
    CANARY,
    MARKS,
    OTHER,
    SENDER,
    contact_of,
    effects,
    erased_facts,
    leaks,
    letter,
    with_attachment,
)
from services.intake.tests.kit import LINE, Intake, Process, mail, send, until

pytestmark = pytest.mark.component


@pytest.fixture
def door(intake: Intake) -> Process:
    intake.add_line()
    return intake.start()


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
    # The row says so once the file is gone: they are looked for once more.
    once_more = "SELECT due_at > clock_timestamp(), due_at = final_at FROM object_removals"
    until(lambda: intake.sql(once_more) == [(True, True)])
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
