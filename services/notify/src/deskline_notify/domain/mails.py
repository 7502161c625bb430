"""The mail as bytes: headers that nobody can inject into, a text, and an HTML part made of it.

Not left to `email.message.EmailMessage`: its policy makes a class for each header of each mail, 17 a mail
here, which only the cyclic collector takes away (measured: 40 kB a mail until it runs).
"""

import base64
import binascii
import html
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final, Literal
from uuid import UUID

from deskline_events.facts import Language
from deskline_notify.domain.cleaning import body_text, usable_message_id
from deskline_notify.domain.header_words import LINE, mailbox_value, text_value
from deskline_notify.domain.threads import Thread

AutoSubmitted = Literal["auto-replied", "auto-generated"]

MOST_SUBJECT: Final = 250
_UNSAFE: Final = re.compile(r"\r(?!\n )|(?<!\r)\n|\n (?=\r|\Z)|[^\r\n -~]")
_LAYOUT: Final = (
    '<!DOCTYPE html>\n<html lang="{language}">\n<head><meta charset="utf-8"></head>\n'
    '<body style="font-family:sans-serif;font-size:15px;line-height:1.5">\n{body}\n</body>\n</html>\n'
)


@dataclass(frozen=True, slots=True)
class Mail:
    """All that a mail is made of; `automatic` is the value of Auto-Submitted, None for a person's words."""

    notification_id: UUID
    message_id: str
    thread: Thread
    sender_name: str
    sender_address: str
    recipient: str
    reply_to: str | None
    subject: str
    text: str
    html: str | None
    language: Language
    automatic: AutoSubmitted | None


def compose(mail: Mail, now: datetime) -> bytes:
    """The mail in RFC 5322's form, lines ended by CR LF; the same for the same values."""
    text = body_text(mail.text).strip("\n") + "\n"
    page = page_of(text, mail.language) if mail.html is None else body_text(mail.html)
    # A random boundary would make a repeated mail another one.
    boundary = f"=_{mail.notification_id.hex}"
    parts = [_part(subtype, content) for subtype, content in (("plain", text), ("html", page))]
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts)
    return b"%b\r\n%b--%b--\r\n" % (_headers(mail, now, boundary), body, boundary.encode())


def _part(subtype: str, text: str) -> bytes:
    """One form of the body in ASCII, which passes every provider, whatever extensions it has."""
    content = text.replace("\n", "\r\n").encode()
    if text.isascii() and all(len(line) <= LINE for line in text.split("\n")):
        encoding, encoded = "7bit", content
    else:
        # Each is the shorter one for some languages.
        encoding, encoded = min(
            ("base64", base64.encodebytes(content).replace(b"\n", b"\r\n")),
            ("quoted-printable", binascii.b2a_qp(content, istext=True)),
            key=lambda one: len(one[1]),
        )
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + encoded


def page_of(text: str, language: Language) -> str:
    """The text as an HTML page: escaped, its lines kept."""
    paragraphs = [part for part in html.escape(text.strip("\n")).split("\n\n") if part.strip()]
    body = "\n".join("<p>{}</p>".format("<br>\n".join(part.split("\n"))) for part in paragraphs)
    return _LAYOUT.format(language=language, body=body)


def _headers(mail: Mail, now: datetime, boundary: str) -> bytes:
    headers = [("Message-ID", _bracketed(mail.message_id))]
    if mail.thread.in_reply_to is not None:
        headers.append(("In-Reply-To", _bracketed(mail.thread.in_reply_to)))
    if mail.thread.references:
        headers.append(("References", "\r\n ".join(map(_bracketed, mail.thread.references))))
    headers += [("From", mailbox_value(mail.sender_name, mail.sender_address)), ("To", mail.recipient)]
    if mail.reply_to is not None:
        headers.append(("Reply-To", mailbox_value(mail.sender_name, mail.reply_to)))
    headers += [("Subject", text_value(mail.subject, MOST_SUBJECT)), ("Date", format_datetime(now))]
    if mail.automatic is not None:
        headers += [("Auto-Submitted", mail.automatic), ("X-Auto-Response-Suppress", "All")]
    headers += [
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative;\r\n boundary="{boundary}"'),
    ]
    for name, value in headers:
        # Whatever the parts made of what they were given: a line break that is no folding ends here.
        if _UNSAFE.search(value):
            raise ValueError(f"{name} holds what no header may carry")
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")


def _bracketed(message_id: str) -> str:
    if usable_message_id(message_id) != message_id:
        raise ValueError("a Message-ID holds what no header may carry")
    return f"<{message_id}>"
