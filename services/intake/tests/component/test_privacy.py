"""A word of a mail's body and its sender's address are where they belong, and nowhere else."""

import base64
import re
import smtplib
import subprocess
from typing import Any
from urllib.request import urlopen

import pytest
from services.intake.tests.kit import KEK, LINE, Intake, deliver, mail, send, until

from deskline_intake.adapters.parser_process import read_in_child
from deskline_intake.parser import Order

pytestmark = pytest.mark.component

# Digits alone would be found in any long number, such as a time in the metrics.
CANARY = "канарейкаkq7319w"
SENDER = "zinaidakq7319w@zinaida-canary.example"
MARKS = [
    form.encode()
    for text in (CANARY, "zinaida", "kq7319w")
    for form in (text, text.upper(), base64.b64encode(text.encode()).decode().rstrip("=")[:-1])
]


def assert_clean(where: str, content: bytes) -> None:
    for mark in MARKS:
        assert mark not in content, f"{mark!r} in {where}"


def test_canary_is_in_no_log_header_key_span_or_metric(intake: Intake) -> None:
    intake.add_line()
    process = intake.start(DESKLINE_LOG_LEVEL="DEBUG")
    body = f"{CANARY} " * 3
    send(process, mail(body, sender=f"Зинаида <{SENDER}>", subject=CANARY), sender=SENDER)
    send(process, mail(body + "x " * 200_000, sender=SENDER), sender=SENDER)
    send(
        process,
        b"From: "
        + SENDER.encode()
        + b"\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        + body.encode(),
        sender=SENDER,
    )
    with process.client() as client:
        for bad in ("MAIL FROM:<zinaida7319", "RCPT TO:<zinaida7319@x>", "ZINAIDA7319", "VRFY zinaida7319"):
            client.docmd(bad)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            deliver(client, mail(), sender=SENDER, to=SENDER)
    intake.settled(60)
    events = intake.events()
    assert len([e for e in events if e.envelope.type.endswith("MessageReceived.v1")]) == 3
    assert CANARY in events[-1].data.get("text", "") or any(CANARY in e.data.get("text", "") for e in events)
    for event in events:
        assert_clean("key", event.key)
        assert_clean("value", event.value)
        for name, value in event.headers:
            assert_clean(name, name.encode() + value)
    with urlopen(f"http://127.0.0.1:{process.http_port}/metrics") as answer:
        metrics = answer.read()
    assert re.search(rb'deskline_intake_mails_total\{outcome="accepted"\} 3.0', metrics)
    assert_clean("metrics", metrics)
    until(lambda: b"mail read" in (intake.folder / "traces").read_bytes())
    process.stop()
    assert_clean("traces", (intake.folder / "traces").read_bytes())
    assert_clean("log", process.output.read_bytes())
    rows = intake.sql(
        "SELECT row_to_json(o)::text FROM objects o UNION ALL SELECT row_to_json(l)::text FROM lanes l"
    )
    assert_clean("tables", repr(rows).encode())
    for path in (intake.folder / "objects").rglob("*"):
        assert_clean("object key", str(path.relative_to(intake.folder)).encode())


def test_one_trace_goes_from_the_door_to_the_event(intake: Intake) -> None:
    intake.add_line()
    process = intake.start()
    send(process, mail())
    (event,) = intake.messages(1)
    assert event.envelope.traceparent is not None
    trace = event.envelope.traceparent.split("-")[1]

    def spans() -> list[str]:
        lines = (intake.folder / "traces").read_text().splitlines()
        found = [line for line in lines if trace in line]
        return found if len(found) >= 3 else []

    names = {re.search(r'"name":"([^"]+)"', line).group(1) for line in until(spans)}  # type: ignore[union-attr]
    assert names >= {"mail accepted", "mail read", "relay publish"}


def test_without_sampling_no_trace_is_stored(intake: Intake) -> None:
    intake.add_line()
    send(intake.start(DESKLINE_TRACE_SAMPLE="0"), mail())
    (event,) = intake.messages(1)
    assert event.envelope.traceparent is None


def test_keys_on_the_topic_are_wrapped_and_open_the_fields(intake: Intake) -> None:
    intake.add_line()
    send(intake.start(), mail("раз"))
    (event,) = intake.messages(1)
    ((wrapped,),) = intake.sql("SELECT wrapped FROM person_keys")
    assert len(wrapped) == 40
    assert KEK not in wrapped
    assert event.data["text"] == "раз"
    assert event.data["message_id"].endswith("@client.example")


def test_child_process_gets_no_secret(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    start = subprocess.Popen

    def popen(*arguments: Any, **named: Any) -> Any:
        given.update(named)
        return start(*arguments, **named)

    monkeypatch.setenv("DESKLINE_INTAKE_DATABASE_URL", "secret")
    monkeypatch.setattr(subprocess, "Popen", popen)
    order = Order(LINE, "x", None, ())
    with read_in_child([mail("a")], order, lambda: None) as (reading, _, failed):
        assert (reading.text, failed) == ("a", False)
    assert set(given["env"]) == {"PATH"}
