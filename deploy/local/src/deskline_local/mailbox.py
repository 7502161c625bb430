"""The world's mailbox: takes every mail that the deployment sends and keeps it in a Maildir."""

import itertools
import os
import socket
import time
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, Final

from aiosmtpd.controller import Controller

FOLDERS: Final = ("tmp", "new", "cur")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it arrived: envelope and content."""

    sender: str
    recipient: str
    mail: EmailMessage

    @property
    def message_id(self) -> str:
        """With its angle brackets."""
        return str(self.mail["Message-ID"]).strip()

    @property
    def references(self) -> list[str]:
        """The thread that it names, oldest first."""
        return str(self.mail["References"] or "").split()

    @property
    def text(self) -> str:
        """What a person reads."""
        body = self.mail.get_body(("plain",))
        return "" if body is None else str(body.get_content())


class Mailbox:
    """An SMTP server on 127.0.0.1 that accepts everything; read the Maildir with any mail program."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self._port = port
        self._numbers = itertools.count()
        self._controller: Controller | None = None
        self._read: dict[str, Letter] = {}

    def start(self) -> None:
        """Open the door; raises OSError where the port is taken."""
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self._port, data_size_limit=64 * 1024 * 1024
        )
        self._controller.start()

    def stop(self) -> None:
        """Close it; the mails stay."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        """One file a recipient, as a delivery agent writes it."""
        for recipient in envelope.rcpt_tos:
            name = f"{time.time_ns()}.{os.getpid()}_{next(self._numbers)}.{socket.gethostname()}"
            written = self.folder / "tmp" / name
            head = f"Return-Path: <{envelope.mail_from or ''}>\r\nDelivered-To: {recipient}\r\n"
            written.write_bytes(head.encode() + envelope.original_content)
            written.rename(self.folder / "new" / name)
        return "250 kept"

    def letters(self, recipient: str | None = None) -> list[Letter]:
        """What arrived, oldest first; all of it or one recipient's."""
        for file in sorted((self.folder / "new").iterdir()):
            if file.name not in self._read:
                self._read[file.name] = _letter(file.read_bytes())
        found = [self._read[name] for name in sorted(self._read)]
        return found if recipient is None else [one for one in found if one.recipient == recipient]


def _letter(content: bytes) -> Letter:
    mail: Any = message_from_bytes(content, policy=SMTP)
    return Letter(str(mail["Return-Path"]).strip("<>"), str(mail["Delivered-To"]), mail)
