"""Reading one mail: in this process, or as `python -m deskline_intake.parser` in one that can be killed.

The child holds no secret and reaches nothing: it reads `raw` in its folder and writes its findings there.
"""

import hashlib
import json
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from deskline_intake.domain.addresses import normalise_address
from deskline_intake.domain.classify import Classification, classify, suppress_auto_reply
from deskline_intake.domain.dedupe import MailIdentity, identify
from deskline_intake.domain.forms import read_form
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import ParsedMail, guess_language, parse_mail
from deskline_intake.domain.problems import Problem
from deskline_intake.domain.senders import author_of

LIMITS: Final = MailLimits()
RAW: Final = "raw"
ORDER: Final = "order.json"
IDENTITY: Final = "identity.json"
READING: Final = "reading.json"

_ADDRESS_SPACE: Final = 768 * 1024 * 1024
_FILE_BYTES: Final = 64 * 1024 * 1024
_FILES: Final = 32


@dataclass(frozen=True, slots=True)
class Order:
    """What reading a mail needs beside the mail; `occurrence` names this copy of it."""

    line_id: str
    occurrence: str
    envelope_from: str | None
    own_domains: tuple[str, ...]
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Equal for equal deliveries; `later_key` is taken when the first is over 24 h old (`windowed`)."""

    source_key: str
    later_key: str
    windowed: bool
    message_id_hash: str | None


@dataclass(frozen=True, slots=True)
class FoundFile:
    """An attachment; its content is bytes, or a file until the reading is closed."""

    filename: str
    media_type: str
    inline: bool
    size: int
    sha256: str
    content: bytes | Path


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mail says: all that an event needs, and no more."""

    identity: Identity
    kind: str
    suppress_auto_reply: bool
    sender: str | None
    sender_name: str
    subject: str
    text: str
    reply: str
    language: str | None
    message_id: str | None
    references: tuple[str, ...]
    bounced: tuple[str, ...]
    recipients: tuple[str, ...]
    problems: tuple[str, ...]
    files: tuple[FoundFile, ...] = ()


def identify_mail(raw: bytes, order: Order) -> Identity:
    """Whether a mail was here before is told by this; linear in its size."""
    first = identify(order.line_id, raw)
    later = identify(order.line_id, raw, occurrence=order.occurrence) if first.windowed else first
    return Identity(first.source_key, later.source_key, first.windowed, _hash_of(first))


def identify_form(raw: bytes) -> Identity:
    """A form is told by its client's key; raises ValueError, KeyError, TypeError on what is none."""
    _, key = read_form(raw)
    return Identity(key, key, windowed=False, message_id_hash=None)


def sender_of(head: bytes, envelope_from: str | None, *, form: bool) -> str | None:
    """Whose message it will be when it is read; `head` holds all of its headers, or a whole form."""
    if form:
        try:
            return read_form(head)[0].address
        except (ValueError, KeyError, TypeError):
            return None
    return author_of(head) or normalise_address(envelope_from or "")


def _hash_of(identity: MailIdentity) -> str | None:
    if identity.message_id is None:
        return None
    return hashlib.sha256(identity.message_id.encode("utf-8", "replace")).hexdigest()


def read_mail(raw: bytes, order: Order) -> Reading:
    """Read a mail here and now; it never raises for what the mail holds."""
    identity = identify_mail(raw, order)
    mail = parse_mail(raw, LIMITS)
    files = tuple(
        FoundFile(a.filename, a.media_type, a.inline, len(a.content), a.sha256, a.content)
        for a in mail.attachments
    )
    return reading_of(mail, identity, order, files)


def read_form_message(raw: bytes) -> Reading:
    """A form's message; raises ValueError, KeyError, TypeError on what is none."""
    form, _ = read_form(raw)
    return replace(
        nothing_read(identify_form(raw)),
        sender=form.address,
        subject=form.subject,
        text=form.signed_text,
        reply=form.text,
        language=guess_language(form.text),
    )


def read_headers_alone(head: bytes, identity: Identity, order: Order, problem: str) -> Reading:
    """The notice for a mail whose reading failed: its headers and why."""
    mail = parse_mail(head, replace(LIMITS, raw_bytes=-1))
    problems = frozenset(mail.problems) - {Problem.OVERSIZE}
    reading = reading_of(replace(mail, problems=problems), identity, order, ())
    return replace(reading, problems=(problem, *reading.problems))


def nothing_read(identity: Identity, *problems: str) -> Reading:
    """The notice for a message of which nothing could be read, or was."""
    return Reading(
        identity=identity,
        kind=Classification.HUMAN.value,
        suppress_auto_reply=False,
        sender=None,
        sender_name="",
        subject="",
        text="",
        reply="",
        language=None,
        message_id=None,
        references=(),
        bounced=(),
        recipients=(),
        problems=problems,
    )


def reading_of(mail: ParsedMail, identity: Identity, order: Order, files: tuple[FoundFile, ...]) -> Reading:
    """The findings of the parser as what is announced; the envelope's sender stands in for a missing From."""
    kind: Classification = classify(mail, frozenset(order.own_domains), order.envelope_from)
    references = dict.fromkeys((*mail.references, *((mail.in_reply_to,) if mail.in_reply_to else ())))
    return Reading(
        identity=identity,
        kind=kind.value,
        suppress_auto_reply=suppress_auto_reply(mail),
        sender=mail.from_address or normalise_address(order.envelope_from or ""),
        sender_name=mail.from_name,
        subject=mail.subject,
        text=mail.text,
        reply=mail.reply,
        language=mail.language,
        message_id=mail.message_id,
        references=tuple(references),
        bounced=mail.bounced_message_ids,
        recipients=tuple(dict.fromkeys((*mail.to, *mail.cc, *mail.delivered_to))),
        problems=tuple(sorted(mail.problems)),
        files=files,
    )


def load_identity(folder: Path) -> Identity:
    """What the child found out first; raises OSError, ValueError, TypeError."""
    return Identity(**json.loads((folder / IDENTITY).read_bytes()))


def load_reading(folder: Path) -> Reading:
    """What the child found; raises OSError, ValueError, TypeError, KeyError."""
    found: dict[str, Any] = json.loads((folder / READING).read_bytes())
    files = tuple(_load_file(folder, index, file) for index, file in enumerate(found.pop("files")))
    identity = Identity(**found.pop("identity"))
    lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    return Reading(identity=identity, files=files, **(found | lists))


def _load_file(folder: Path, index: int, file: Mapping[str, Any]) -> FoundFile:
    path = folder / str(index)
    if path.stat().st_size != file["size"]:
        raise ValueError("an attachment's file is not of the size that was said")
    return FoundFile(**{**file, "content": path})


def _limit(seconds: float) -> None:
    cpu = max(1, int(seconds))
    for limit, value in (
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def main(folder: Path) -> None:
    """The child: raw and order in, identity and reading out, the reading last."""
    order = Order(**json.loads((folder / ORDER).read_bytes()))
    _limit(order.seconds)
    raw = (folder / RAW).read_bytes()
    _write(folder / IDENTITY, asdict(identify_mail(raw, order)))
    reading = read_mail(raw, order)
    for index, file in enumerate(reading.files):
        assert isinstance(file.content, bytes)  # noqa: S101 -- read_mail gives bytes
        (folder / str(index)).write_bytes(file.content)
    named = tuple(replace(file, content=Path()) for file in reading.files)
    _write(folder / READING, asdict(replace(reading, files=named)))


def _write(path: Path, value: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(value, default=lambda _: None), "utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
