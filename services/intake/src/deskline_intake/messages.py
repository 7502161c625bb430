"""What a mail says as the facts that are announced, within the size that an event may have."""

import re
from collections.abc import Iterable
from typing import Final
from uuid import uuid5

from deskline_events.facts import MAX_TEXT_BYTES, Attachment, Customer, Language, Line
from deskline_events.intake import MessageReceived
from deskline_intake.domain.addresses import split_plus_address
from deskline_intake.ports import Person, ReadMail, StoredMail

EXCERPT_BYTES: Final = 16 * 1024
# Sealed text is a third longer; with 50 attachments, their names and the references about 230 KiB, of 256.
_TEXTS_BYTES: Final = 96 * 1024
_REFERENCES_BYTES: Final = 12 * 1024
_BOUNCED_BYTES: Final = 6 * 1024
_MEDIA_TYPE_CHARS: Final = 100
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def is_long(text: str, reply: str) -> bool:
    """Whether a text goes to the object store, its event carrying an excerpt."""
    size = len(text.encode())
    return size > MAX_TEXT_BYTES or (reply != text and size + len(reply.encode()) > _TEXTS_BYTES)


def excerpt(text: str, limit: int) -> str:
    """The beginning of a text, at most `limit` bytes of UTF-8, cut between characters."""
    return text.encode()[:limit].decode("utf-8", "ignore")


def reply_token(address: str) -> str | None:
    """What stands behind the plus of one of our addresses, if it can be a token."""
    _, token = split_plus_address(address)
    return token if token is not None and _TOKEN.match(token) else None


def message_received(
    read: ReadMail, source_key: str, person: Person, *, new: bool, repeated: bool
) -> MessageReceived:
    """The fact that a mail becomes."""
    mail, reading = read.mail, read.reading
    text = reading.text if read.text is None else excerpt(reading.text, EXCERPT_BYTES)
    reply = excerpt(reading.reply, MAX_TEXT_BYTES)
    references = _within(reading.references, _REFERENCES_BYTES)
    bounced = _within(reading.bounced, _BOUNCED_BYTES)
    return MessageReceived(
        raw_id=mail.raw_id,
        source_key=source_key,
        line=Line(
            line_id=mail.line.line_id,
            name=mail.line.name,
            channel=mail.line.channel,
            language=mail.line.language,
            address=mail.line.address,
        ),
        contact_id=person.contact_id,
        customer=_customer(mail, person, new=new),
        received_at=mail.received_at,
        kind=reading.kind,
        suppress_auto_reply=reading.suppress_auto_reply,
        subject=reading.subject,
        text=text,
        reply=None if reply == text else reply,
        text_object=read.text,
        message_id=reading.message_id,
        references=references or None,
        bounced=bounced or None,
        reply_token=mail.reply_token or _token_in(reading.recipients, mail.line.address),
        repeated_message_id=repeated,
        attachments=tuple(_attachments(read)),
        raw=read.raw,
        problems=reading.problems,
    )


def _customer(mail: StoredMail, person: Person, *, new: bool) -> Customer:
    """The snapshot; where anybody may have typed the address it shows nothing of whose that is."""
    return Customer(
        contact_id=person.contact_id,
        company_id=person.company_id if mail.verified else None,
        tier=person.tier if mail.verified else None,
        locale=person.locale,
        new=new,
        verified=mail.verified,
    )


def _attachments(read: ReadMail) -> Iterable[Attachment]:
    for index, file in enumerate(read.reading.files):
        fits = len(file.media_type) <= _MEDIA_TYPE_CHARS
        yield Attachment(
            attachment_id=uuid5(read.mail.raw_id, str(index)),
            content=read.objects[index],
            filename=file.filename,
            media_type=file.media_type if fits else "application/octet-stream",
            inline=file.inline,
        )


def _token_in(recipients: Iterable[str], line: str | None) -> str | None:
    """A token in the mail's own recipients: servers that forward drop it from the envelope."""
    for address in recipients:
        if split_plus_address(address)[0] == line and (token := reply_token(address)):
            return token
    return None


def _within(ids: tuple[str, ...], limit: int) -> str:
    """Message-IDs with blanks between; of too many the first and the last ones, which are the newest."""
    kept: list[str] = []
    room = limit
    for name in (*ids[:1], *reversed(ids[1:])):
        room -= len(name.encode()) + 1
        if room < 0:
            break
        kept.append(name)
    return " ".join((*kept[:1], *reversed(kept[1:])))


def locale_of(read: ReadMail) -> Language:
    """The language in which somebody writes, else their line's."""
    if read.reading.language == "ru":
        return "ru"
    return "en" if read.reading.language == "en" else read.mail.line.language
