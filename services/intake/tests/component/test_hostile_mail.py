"""Hostile and broken mail becomes a ticket with a notice, or is refused; the service lives."""

import importlib.util
import smtplib
from pathlib import Path

import pytest
from services.intake.tests.kit import LINE, Intake, Process, deliver, mail, send

pytestmark = pytest.mark.component


@pytest.fixture
def door(intake: Intake) -> Process:
    intake.add_line()
    return intake.start()


def nested(depth: int) -> bytes:
    lines = [b"From: a@client.example", b"Subject: deep"]
    for level in range(depth):
        lines += [b'Content-Type: multipart/mixed; boundary="b%d"' % level, b"", b"--b%d" % level]
    return b"\r\n".join([*lines, b"", b"found nevertheless", b""])


def many_parts(count: int) -> bytes:
    return (
        SENDER
        + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * count
        + b"--b--\r\n"
    )


SENDER = b"From: a@client.example\r\n"
HOSTILE = {
    "deep": nested(5_000),
    "many parts": many_parts(20_000),
    "broken base64": SENDER + b"Content-Transfer-Encoding: base64\r\n\r\n!!!!====\xff\xff\r\n",
    "lying charset": SENDER + b"Content-Type: text/plain; charset=utf-7\r\n\r\n+ADw-script\r\n",
    "unclosed boundary": SENDER + b"Content-Type: multipart/mixed; boundary=zzz\r\n\r\ntext\r\n",
    "many headers": SENDER + b"" + b"X-A: b\r\n" * 50_000 + b"\r\ntext\r\n",
    "one huge header": SENDER + b"X-A: " + b"b" * 2_000_000 + b"\r\n\r\ntext\r\n",
    "huge references": SENDER + b"References: " + b"<a@b> " * 100_000 + b"\r\n\r\ntext\r\n",
    "nothing": b"",
    "only nul": b"\x00" * 10_000,
    "no headers": b"\r\n\r\nbody\r\n",
    "html bomb": SENDER + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 200_000,
    "random": bytes(range(256)) * 2_000,
}


@pytest.mark.timeout(120)
def test_bombs_deep_mime_and_lies_become_messages(intake: Intake, door: Process) -> None:
    for name, content in HOSTILE.items():
        send(door, content, sender=f"{name.replace(' ', '.')}@client.example")
    send(door, mail("живой"))
    events = intake.messages(len(HOSTILE) + 1, 90)
    found = {e.data["raw_id"]: e.data for e in events}
    assert [d for d in found.values() if d["text"] == "живой"]
    by_size = dict(intake.sql("SELECT size, raw_id::text FROM raw_messages"))
    for name in ("deep", "many parts"):
        data = found[by_size[len(HOSTILE[name])]]
        assert data["problems"], name
        stored = (intake.folder / "objects" / data["raw"]["key"]).read_bytes()
        assert stored == HOSTILE[name]
    assert all(
        e.data["raw"]
        for e in events
        if set(e.data["problems"]) - {"charset_guessed", "duplicate_header", "no_sender"}
    )
    assert door.child.poll() is None
    assert door.peak_kib() < 170 * 1024


def test_parser_child_killed_on_timeout_leaves_a_notice_with_the_raw_mail(intake: Intake) -> None:
    intake.add_line()
    door = intake.start(DESKLINE_INTAKE_PARSE_SECONDS="0.01")
    content = mail("слово " * 60_000, subject="Договор")
    send(door, content)
    send(door, mail("потом"))
    first, second = sorted(intake.messages(2), key=lambda e: e.envelope.sequence)
    assert first.data["problems"] == ["parser_timeout"]
    assert first.data["subject"] == "Договор"
    assert first.data["text"] == ""
    assert (intake.folder / "objects" / first.data["raw"]["key"]).read_bytes() == content
    assert second.data["text"] == "потом"
    assert intake.sql("SELECT state FROM raw_messages ORDER BY arrival") == [("failed",), ("parsed",)]
    send(door, content)
    intake.settled()
    intake.messages(2)
    assert not list(intake.folder.glob("deskline-mail-*")), "no folder is left behind"


def test_header_injection_stays_one_value(intake: Intake, door: Process) -> None:
    content = (
        b"From: =?utf-8?q?Anna=0D=0ABcc:_x@evil.example?= <anna@client.example>\r\n"
        b"Subject: =?utf-8?q?a=0D=0AX-Evil:_1=0D=0A=0D=0Abody?=\r\n"
        b"Message-ID: <a\r\n b@client.example>\r\n"
        b'Content-Type: application/pdf; name="..\\..\\a\r\n b.pdf"\r\n\r\nx\r\n'
    )
    send(door, content)
    (event,) = intake.messages(1)
    contact = next(e for e in intake.events() if e.envelope.type.endswith("ContactRegistered.v1"))
    for value in (event.data["subject"], contact.data["name"], event.data["attachments"][0]["filename"]):
        assert not set("\r\n\0") & set(value)
    assert contact.data["address"] == "anna@client.example"
    assert "/" not in event.data["attachments"][0]["filename"]


def test_address_in_an_encoded_name_is_no_sender(intake: Intake, door: Process) -> None:
    send(door, mail(sender="=?utf-8?q?boss@desk.example_=3Cboss@desk.example=3E?= <evil@evil.example>"))
    intake.messages(1)
    contact = next(e for e in intake.events() if e.envelope.type.endswith("ContactRegistered.v1"))
    assert contact.data["address"] == "evil@evil.example"


@pytest.mark.timeout(120)
def test_cpythons_own_samples_are_announced_or_refused(intake: Intake, door: Process) -> None:
    found = importlib.util.find_spec("test.test_email")
    assert found is not None, "this Python came without its tests"
    assert found.origin is not None
    folder = Path(found.origin).parent / "data"
    samples = sorted(folder.iterdir())
    assert len(samples) > 40
    accepted = 0
    answers: list[tuple[int, bytes | str]] = []
    with door.client() as client:
        for sample in samples:
            try:
                deliver(client, sample.read_bytes(), sender="a@client.example", to=LINE)
                accepted += 1
            except smtplib.SMTPDataError as refused:
                answers.append((refused.smtp_code, refused.smtp_error))
    assert all(500 <= code < 600 and reason for code, reason in answers)
    intake.settled(60)
    ((outcomes,),) = intake.sql("SELECT count(*) FROM raw_messages WHERE state <> 'received'")
    ((duplicates,),) = intake.sql("SELECT count(*) FROM raw_messages WHERE duplicate_of IS NOT NULL")
    assert outcomes == accepted
    intake.messages(accepted - duplicates, 60)
    assert intake.sql("SELECT count(*) FROM raw_messages WHERE state = 'failed'") == [(0,)]
    assert '"level":"error"' not in door.log
