"""What a flood is made of: mails, web forms and operators' notes, each made beforehand with its own id."""

import asyncio
import base64
import json
import multiprocessing
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from tests.chaos.recovery.pressing import Door, HttpDoor, MailDoor, Pressed, press, sustain
from tests.judging.commands import COMMANDS
from tests.witness import rows

from deskline_local.deployment import OWN_DOMAIN
from deskline_local.site import Site

FORMS = UUID("5f1f7c52-3f0c-4d0e-9f5c-8f6f4a3f1b11")
NAMED = re.compile(r"(?:mail|form)-\d+-\w+")
TEXT = "Здравствуйте, касса снова не печатает чеки, посмотрите, пожалуйста. " * 14
FRAME = (
    "From: =?utf-8?b?0JrQu9C40LXQvdGC?= <{sender}>\r\nTo: support@" + OWN_DOMAIN + "\r\n"
    "Subject: {name}\r\nMessage-ID: <{name}@flood.example>\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="out"\r\n\r\n'
    '--out\r\nContent-Type: multipart/alternative; boundary="in"\r\n\r\n'
)
TAIL = (
    "--in\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n"
    "--in\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{html}\r\n"
    "--in--\r\n--out\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"
    'Content-Disposition: attachment; filename="shot.png"\r\n\r\n{image}\r\n--out--\r\n'
)


def _lines(content: bytes) -> str:
    return base64.encodebytes(content).decode().replace("\n", "\r\n")


BODY = TAIL.format(
    text=_lines(TEXT.encode()),
    html=_lines(f"<html><body><p>{TEXT}</p></body></html>".encode()),
    image=_lines(os.urandom(1500)),
).encode()


@dataclass(frozen=True)
class Staff:
    """Who notes on which tickets; actors and tokens go together."""

    actors: Sequence[str]
    tokens: Sequence[str] = field(repr=False)
    tickets: Sequence[str]


@dataclass(frozen=True)
class Flood:
    """A flood of one name, by which its ids are told from another one's."""

    name: str
    smtp: tuple[str, int]
    gateway: tuple[str, int]
    form_line: str
    staff: Staff

    def doors(self) -> list[Door]:
        """One for each kind of request."""
        return [
            MailDoor(self.smtp, f"support@{OWN_DOMAIN}", self.mail),
            HttpDoor(self.gateway, self._posted(self.form), "form"),
            HttpDoor(self.gateway, self._posted(self.note), "note"),
        ]

    def press(self, rates: dict[str, float], seconds: float) -> Pressed:
        """So many a second of each kind, from a process that does nothing else."""
        return _elsewhere(_press, self, rates, seconds)

    def sustain(self, clients: dict[str, int], seconds: float) -> Pressed:
        """What so many clients of each kind get done, each of which waits for its answer."""
        return _elsewhere(_sustain, self, clients, seconds)

    def mail(self, number: int) -> tuple[str, str, bytes]:
        """Envelope sender, id and content of a 7 KB mail of three parts."""
        name = f"mail-{number}-{self.name}"
        sender = f"{name}@client{number % 50}.example"
        return sender, name, FRAME.format(sender=sender, name=name).encode() + BODY

    def form(self, number: int) -> tuple[str, str, dict[str, str], dict[str, str]]:
        """Id, path, headers and content of a web form."""
        name = f"form-{number}-{self.name}"
        content = {"client_key": name, "address": f"{name}@web.example", "subject": name, "text": TEXT}
        return name, f"/v1/lines/{self.form_line}/messages", {}, content

    def note(self, number: int) -> tuple[str, str, dict[str, str], dict[str, str]]:
        """Id of the command, path, headers and content of a note on a ticket."""
        staff = self.staff
        actor, token = (some[number % len(some)] for some in (staff.actors, staff.tokens))
        ticket, key = staff.tickets[number % len(staff.tickets)], f"note-{number}-{self.name}"
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        command = str(uuid5(COMMANDS, f"command|{actor}|{key}"))
        return command, f"/v1/tickets/{ticket}/notes", headers, {"text": key}

    @staticmethod
    def _posted(
        ask: Callable[[int], tuple[str, str, dict[str, str], dict[str, str]]],
    ) -> Callable[[int], tuple[str, bytes]]:
        def request(number: int) -> tuple[str, bytes]:
            name, path, headers, content = ask(number)
            body = json.dumps(content).encode()
            told = {"Host": "flood", "Content-Type": "application/json", "Content-Length": str(len(body))}
            head = "".join(f"{key}: {value}\r\n" for key, value in (told | headers).items())
            return name, f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body

        return request

    def stored(self, site: Site) -> dict[str, list[str]]:
        """Kind → ids of this flood's requests that left something in a store, each as often as it did."""
        # The beginning of a mail and of a form holds its name; at the door it is all that there is of it.
        heads = rows(site.owner_url("intake"), "SELECT substring(raw FOR 700) FROM raw_messages")
        texts = (bytes(head).decode(errors="replace") for (head,) in heads)
        names = [found[0] for text in texts if (found := NAMED.search(text))]
        mine = [name for name in names if name.endswith(f"-{self.name}")]
        noted = rows(
            site.owner_url("tickets"),
            "SELECT causation_id::text FROM events WHERE type LIKE 'NoteAdded.%'",
        )
        return {
            "mail": [name for name in mine if name.startswith("mail-")],
            "form": [name for name in mine if name.startswith("form-")],
            "note": [command for (command,) in noted],
        }


def _elsewhere(work: Callable[..., Pressed], *given: Any) -> Pressed:
    # This process has the mailbox in it, which must not be slow because of the load.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def _press(flood: Flood, rates: dict[str, float], seconds: float) -> Pressed:
    return asyncio.run(press(flood.doors(), rates, seconds))


def _sustain(flood: Flood, clients: dict[str, int], seconds: float) -> Pressed:
    return asyncio.run(sustain(flood.doors(), clients, seconds))
