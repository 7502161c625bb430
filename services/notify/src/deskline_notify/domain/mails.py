"""The mail as bytes: headers that nobody can inject into, a text, and an HTML part made of it."""

import html
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, Literal
from uuid import UUID

from deskline_events.facts import Language
from deskline_notify.domain.cleaning import body_text, one_line
from deskline_notify.domain.threads import Thread

AutoSubmitted = Literal["auto-replied", "auto-generated"]

# 7-bit bodies pass every provider, whatever extensions it has.
_POLICY: Final = SMTP.clone(cte_type="7bit")
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
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(one_line(mail.sender_name), addr_spec=mail.sender_address)
    message["To"] = Address(addr_spec=mail.recipient)
    if mail.reply_to is not None:
        message["Reply-To"] = Address(one_line(mail.sender_name), addr_spec=mail.reply_to)
    message["Subject"] = one_line(mail.subject, 250)
    message["Date"] = format_datetime(now)
    if mail.automatic is not None:
        message["Auto-Submitted"] = mail.automatic
        message["X-Auto-Response-Suppress"] = "All"
    text = body_text(mail.text).strip("\n") + "\n"
    page = page_of(text, mail.language) if mail.html is None else body_text(mail.html)
    message.set_content(text)
    message.add_alternative(page, subtype="html")
    # A random boundary would make a repeated mail another one.
    message.set_boundary(f"=_{mail.notification_id.hex}")
    return _ids(mail) + message.as_bytes()


def page_of(text: str, language: Language) -> str:
    """The text as an HTML page: escaped, its lines kept."""
    paragraphs = [part for part in html.escape(text.strip("\n")).split("\n\n") if part.strip()]
    body = "\n".join("<p>{}</p>".format("<br>\n".join(part.split("\n"))) for part in paragraphs)
    return _LAYOUT.format(language=language, body=body)


def _ids(mail: Mail) -> bytes:
    # Not through the message: its header classes turn ids that are longer than a line into encoded words,
    # which no mail program threads by. Each id is checked where it comes from, and once more here.
    lines = [f"Message-ID: <{mail.message_id}>"]
    if mail.thread.in_reply_to is not None:
        lines.append(f"In-Reply-To: <{mail.thread.in_reply_to}>")
    if mail.thread.references:
        lines.append("References: " + "\r\n ".join(f"<{one}>" for one in mail.thread.references))
    for one in (mail.message_id, mail.thread.in_reply_to or "", *mail.thread.references):
        if any(not "!" <= character <= "~" or character in "<>" for character in one):
            raise ValueError("a Message-ID holds what no header may carry")
    return "\r\n".join(lines).encode("ascii") + b"\r\n"
