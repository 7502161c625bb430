"""Whether a mail was here before: its identity, whatever way it came."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from deskline_intake.domain.headers import Headers, read_headers
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import message_id

_LIMITS = MailLimits()
_BLANKS = re.compile(rb"[ \t\r\n]+")

# What a mail is, as against what mail servers write on it: relays add and change all other fields at will.
_CONTENT_HEADERS = ("from", "subject", "content-type", "content-transfer-encoding", "in-reply-to")

_BY_SERVERS = """
received return-path delivered-to x-original-to envelope-to x-envelope-to x-envelope-from
dkim-signature domainkey-signature domainkey-status authentication-results received-spf dkim-filter
x-received x-delivered-to x-rcpt-to x-real-to x-failover status x-status x-uid x-uidl x-keywords
x-forwarded-to x-forwarded-for x-forwarded-encrypted x-gm-message-state x-google-dkim-signature
x-google-smtp-source x-virus-scanned x-virus-status x-dspam-result x-bogosity x-amavis-alert
x-antivirus x-antivirus-status x-rspamd-server x-rspamd-queue-id x-rspamd-action x-sender-ip
x-greylist x-scanned-by x-policyd-weight x-proofpoint-guid x-proofpoint-orig-guid tls-required
"""
_TRANSPORT = frozenset(_BY_SERVERS.split())
_TRANSPORT_FAMILIES = (
    "arc-", "x-spam", "x-arc-", "x-ms-exchange-", "x-microsoft-antispam", "x-forefront-", "x-eopattributed",
    "x-yandex-", "x-mru-", "x-mailru-", "x-mras", "x-kas", "x-klms-", "x-kse-", "x-kaspersky", "x-drweb-",
    "x-proofpoint-", "x-mimecast-", "x-ironport-", "x-barracuda-", "x-rspamd-", "x-amavis-", "x-pmx-",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MailIdentity:
    """`windowed`: there was no Message-ID, so an equal key counts as the same mail within 24 h only.

    A known `message_id` on the same line under another `source_key` is a repeated Message-ID: the mail
    is kept, and the caller flags it.
    """

    source_key: str
    body_hash: str
    message_id: str | None
    windowed: bool


def canonical_body_hash(raw: bytes) -> str:
    """Hex SHA-256 of sender, subject, structure and body; ways, line endings and folding don't count."""
    return _content_hash(raw, read_headers(raw, 0, _LIMITS))


def canonical_message_hash(raw: bytes) -> str:
    """Hex SHA-256 of the whole mail, Date included, less what servers wrote on it."""
    return _message_hash(raw, read_headers(raw, 0, _LIMITS))


def source_key(line_id: str, message_id: str | None, raw: bytes, *, occurrence: str = "") -> str:
    """Hex SHA-256 of (line, Message-ID, canonical body), or of (line, canonical mail) without Message-ID.

    `occurrence` makes another key of the same mail: the caller's, once the 24 h window is over.
    """
    content = canonical_message_hash(raw) if message_id is None else canonical_body_hash(raw)
    return _key(line_id, message_id, content, occurrence)


def identify(line_id: str, raw: bytes, *, occurrence: str = "") -> MailIdentity:
    """All that tells whether a mail is new on its line."""
    headers = read_headers(raw, 0, _LIMITS)
    name = message_id(headers)
    body_hash = _content_hash(raw, headers)
    content = _message_hash(raw, headers) if name is None else body_hash
    return MailIdentity(_key(line_id, name, content, occurrence), body_hash, name, name is None)


def _key(line_id: str, name: str | None, content: str, occurrence: str) -> str:
    kind = "message" if name is None else "id"
    return _digest(
        part.encode("utf-8", "replace") for part in (kind, line_id, name or "", content, occurrence)
    )


def _content_hash(raw: bytes, headers: Headers) -> str:
    fields = (_folded(headers.first(name)) for name in _CONTENT_HEADERS)
    return _digest((*fields, _canonical_body(raw, headers)))


def _message_hash(raw: bytes, headers: Headers) -> str:
    fields = (
        name.encode() + b":" + _folded(value)
        for name, values in headers.fields.items()
        if name not in _TRANSPORT and not name.startswith(_TRANSPORT_FAMILIES)
        for value in values
    )
    return _digest((*sorted(fields), _canonical_body(raw, headers)))


def _folded(value: bytes) -> bytes:
    return _BLANKS.sub(b" ", value).strip()


def _canonical_body(raw: bytes, headers: Headers) -> bytes:
    """The body with LF line ends and without the blank lines that relays add or drop at its end."""
    return raw[headers.end :].replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n \t")


def _digest(parts: Iterable[bytes]) -> str:
    """SHA-256 over parts that can't run into one another: each with its length before it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
