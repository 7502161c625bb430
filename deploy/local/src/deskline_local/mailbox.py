"""The world's mailbox: takes every mail that the deployment sends and keeps it in a Maildir."""

from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from deskline_mailbox.maildir import Maildir, Stored
from deskline_mailbox.smtp import Session, session


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
        self._maildir = Maildir(folder)
        self._controller: Controller | None = None
        self._read: list[Letter] = []
        self._last = ""

    def start(self) -> None:
        """Open the door; raises OSError where the port is taken."""
        self._maildir.open()
        self._controller = _Door(self._maildir, hostname="127.0.0.1", port=self._port)
        self._controller.start()

    def stop(self) -> None:
        """Close it; the mails stay."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def letters(self, recipient: str | None = None) -> list[Letter]:
        """What arrived, oldest first; all of it or one recipient's."""
        for stored in self._maildir.letters(after=self._last):
            self._read += _letters(stored)
            self._last = stored.id
        return [one for one in self._read if recipient is None or one.recipient == recipient]


class _Door(Controller):
    def factory(self) -> Session:
        return session(self.handler)


def _letters(stored: Stored) -> list[Letter]:
    mail: Any = message_from_bytes(stored.content, policy=SMTP)
    return [Letter(stored.sender, recipient, mail) for recipient in stored.recipients]
