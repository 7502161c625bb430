"""The door that refuses no recipient: SMTP in, one letter a mail."""

import asyncio
from typing import Any, Final

from aiosmtpd.smtp import SMTP

from deskline_mailbox.maildir import MIB, Maildir

LETTER_BYTES: Final = 64 * MIB
LINE_BYTES: Final = 64 * 1024  # real programs send lines far over the standard's 1,000 octets


class Sink:
    """Keeps what comes; for aiosmtpd, which calls `handle_DATA`."""

    def __init__(self, maildir: Maildir) -> None:
        self._maildir = maildir

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        """Answer 250 when the letter is on disk, 452 when there is no room for it."""
        try:
            await asyncio.to_thread(
                self._maildir.keep,
                envelope.mail_from or "",
                list(envelope.rcpt_tos),
                envelope.original_content,
            )
        except OSError as error:
            return f"452 4.3.1 The mailbox can't store it: {error.strerror}"
        return "250 2.0.0 kept"


class Session(SMTP):
    """One connection."""

    line_length_limit = LINE_BYTES


def session(maildir: Maildir, letter_bytes: int = LETTER_BYTES) -> Session:
    """A new connection's protocol."""
    return Session(
        Sink(maildir), data_size_limit=letter_bytes, enable_SMTPUTF8=True, ident="Deskline mailbox"
    )
