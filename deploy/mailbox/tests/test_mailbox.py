"""The mailbox as a process: what comes in by SMTP is shown, in order, byte for byte."""

import base64
import json
import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from deskline_mailbox.maildir import Limits, Maildir

COMMAND = str(Path(sys.executable).with_name("deskline-mailbox"))
MAIL = b"From: desk@desk.example\r\nDelivered-To: not.the.envelope\r\nSubject: hi\r\n\r\n\x80\xff\r\n.dot\r\n"


class Running:
    """A mailbox on free ports."""

    def __init__(self, folder: Path, **settings: str) -> None:
        variables = {"FOLDER": str(folder), "SMTP_PORT": "0", "HTTP_PORT": "0"} | settings
        self.process = subprocess.Popen(
            [COMMAND, "serve"],
            env=os.environ | {f"DESKLINE_MAILBOX_{name}": value for name, value in variables.items()},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ports: dict[str, Any] = json.loads(self.process.stdout.readline())

    def send(self, *recipients: str, content: bytes = MAIL) -> None:
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=10) as door:
            door.sendmail("desk@desk.example", recipients, content)

    def letters(self, **parameters: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"http://127.0.0.1:{self.ports['http']}/letters", params=parameters)
        found: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, LETTER_BYTES="4096")
    yield running
    running.stop()


@pytest.mark.component
def test_a_mail_is_shown_once_with_all_its_recipients_and_every_byte(mailbox: Running) -> None:
    assert mailbox.letters() == []
    mailbox.send("anna@customer.example", "b@x.example")
    (letter,) = mailbox.letters()
    assert letter["sender"] == "desk@desk.example"
    assert letter["recipients"] == ["anna@customer.example", "b@x.example"]
    assert base64.b64decode(letter["content"]) == MAIL
    assert letter["received_at"].endswith("+00:00")


@pytest.mark.component
def test_letters_come_in_the_order_of_arrival_and_after_an_id(mailbox: Running) -> None:
    for number in range(5):
        mailbox.send(f"{number}@customer.example")
    found = mailbox.letters()
    assert [letter["recipients"] for letter in found] == [[f"{n}@customer.example"] for n in range(5)]
    assert mailbox.letters(after=found[2]["id"]) == found[3:]


@pytest.mark.component
def test_a_letter_over_the_limit_is_refused_and_not_kept(mailbox: Running) -> None:
    with pytest.raises(smtplib.SMTPException):
        mailbox.send("anna@customer.example", content=MAIL + b"x" * 5000)
    assert mailbox.letters() == []


@pytest.mark.component
def test_what_was_accepted_is_there_after_a_kill(tmp_path: Path) -> None:
    first = Running(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: first.send(f"{number}@customer.example"), range(40)))
    first.process.kill()
    first.stop()
    second = Running(tmp_path)
    second.send("last@customer.example")
    found = [letter["recipients"][0] for letter in second.letters()]
    assert second.stop() == 0
    assert sorted(found[:-1]) == sorted(f"{number}@customer.example" for number in range(40))
    assert found[-1] == "last@customer.example"


@pytest.mark.component
def test_wrong_settings_are_named_and_end_with_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "serve"],
        env=os.environ | {"DESKLINE_MAILBOX_FOLDER": str(tmp_path), "DESKLINE_MAILBOX_HTTP_PORT": "many"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.partition(": Input")[0]) == (
        2,
        "settings: DESKLINE_MAILBOX_HTTP_PORT",
    )


@pytest.mark.component
def test_the_oldest_letter_goes_when_there_are_too_many(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path, Limits(letters=3, folder_bytes=10_000))
    maildir.open()
    for number in range(5):
        maildir.keep("", [f"{number}@x.example"], b"short")
    assert [letter.recipients[0][0] for letter in maildir.letters()] == ["2", "3", "4"]
    again = Maildir(tmp_path, Limits(letters=3, folder_bytes=10_000))
    again.open()
    again.keep("", ["5@x.example"], b"long" * 2_490)
    assert [letter.recipients[0][0] for letter in again.letters()] == ["5"]
