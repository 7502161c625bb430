"""Mails that nobody should have to read: broken, lying, deep, huge; each with what its ticket must say."""

from dataclasses import dataclass
from typing import Final

SUPPORT: Final = "support@desk.example"


@dataclass(frozen=True)
class Hostile:
    """A mail; `problems` must stand on its message, `unread` says that the raw mail must be attached."""

    name: str
    content: bytes
    problems: frozenset[str] = frozenset()
    unread: bool = True

    @property
    def sender(self) -> str:
        return f"{self.name.replace(' ', '-')}@press.example"


def _mail(name: str, rest: bytes, *problems: str, unread: bool = True) -> Hostile:
    head = f"From: {name.replace(' ', '-')}@press.example\r\nTo: {SUPPORT}\r\n".encode()
    return Hostile(name, head + rest, frozenset(problems), unread)


def _nested(depth: int) -> bytes:
    lines = [b"Subject: deep"]
    for level in range(depth):
        lines += [b'Content-Type: multipart/mixed; boundary="b%d"' % level, b"", b"--b%d" % level]
    return b"\r\n".join([*lines, b"", b"at the bottom", b""])


_PART: Final = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
_ATTACHED: Final = b"--b\r\nContent-Disposition: attachment; filename=a\r\n\r\nx\r\n"
_MIXED: Final = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"

HOSTILE: Final = (
    _mail(
        "unclosed boundary",
        b"Content-Type: multipart/mixed; boundary=zzz\r\n\r\ntext\r\n",
        "malformed_structure",
    ),
    _mail("nested without end", _nested(5_000), "too_deep"),
    _mail("messages in messages", b"Content-Type: message/rfc822\r\n\r\n" * 20_000, unread=False),
    _mail(
        "broken base64", b"Content-Transfer-Encoding: base64\r\n\r\n!!!!====\xff\xff\r\n", "encoding_broken"
    ),
    _mail(
        "lying charset",
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "Принтер не печатает\r\n".encode("cp1251"),
        "charset_guessed",
        unread=False,
    ),
    _mail("unknown charset", b"Content-Type: text/plain; charset=klingon\r\n\r\n\x81\x8d\x98\xff\x00\r\n"),
    _mail("many parts", _MIXED + _PART * 20_000 + b"--b--\r\n", "too_many_parts"),
    _mail("many attachments", _MIXED + _ATTACHED * 120 + b"--b--\r\n", "attachment_dropped"),
    _mail("many headers", b"X-A: b\r\n" * 50_000 + b"\r\ntext\r\n", "headers_truncated"),
    _mail("one huge header", b"X-A: " + b"b" * 1_000_000 + b"\r\n\r\ntext\r\n", "headers_truncated"),
    _mail("references bomb", b"References: " + b"<a@b> " * 100_000 + b"\r\n\r\ntext\r\n"),
    _mail(
        "html bomb",
        b"Content-Type: text/html\r\n\r\n" + b"<div>" * 200_000 + b"at the bottom\r\n",
        unread=False,
    ),
    _mail("quote bomb", b"\r\n" + b">" * 100_000 + b"\r\n" + b"> x\r\n" * 300_000, "text_truncated"),
    _mail("only nul", b"\r\n" + b"\x00" * 10_000, unread=False),
    Hostile("nothing", b"", frozenset({"no_sender"}), unread=False),
    Hostile("no headers", b"\r\n\r\nbody\r\n", frozenset({"no_sender"}), unread=False),
    Hostile("every byte", bytes(range(256)) * 400, frozenset({"no_sender"})),
)

INJECTING: Final = (
    b"From: =?utf-8?q?Anna=0D=0ABcc:_x@evil.example?= <injecting@press.example>\r\n"
    b"Subject: =?utf-8?q?a=0D=0AX-Evil:_1=0D=0A=0D=0Abody?=\r\n"
    b"Message-ID: <a\r\n b@client.example>\r\n"
    b'Content-Type: application/pdf; name="..\\..\\a\r\n b.pdf"\r\n\r\nx\r\n'
)
