"""Bombs, garbage and mutations: whatever comes, parsing ends with a usable result."""

import email
import importlib
import random
import sysconfig
from email.message import EmailMessage, Message
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_intake.domain.body import content_of
from deskline_intake.domain.classify import classify
from deskline_intake.domain.dedupe import identify
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import ParsedMail, parse_mail
from deskline_intake.domain.mime import read_structure
from deskline_intake.domain.problems import Problem

pytestmark = pytest.mark.unit

LIMITS = MailLimits()
HEAD = b"From: ivan@zavod.ru\r\nSubject: Help\r\n"
MULTIPART = HEAD + b'Content-Type: multipart/mixed; boundary="B"\r\n\r\n'


def parse_soundly(raw: bytes, limits: MailLimits = LIMITS) -> ParsedMail:
    """Parses, and holds the result against what every result promises."""
    mail = parse_mail(raw, limits)
    assert Problem.UNPARSEABLE not in mail.problems
    for line in (mail.subject, mail.from_name, mail.date_header, *(a.filename for a in mail.attachments)):
        assert (
            line == "" or line.isprintable() or not any(c < " " or c in "\x7f\x85\u2028\u2029" for c in line)
        )
    for text in (mail.text, mail.reply, mail.html_source):
        assert "\x00" not in text
        assert "\r" not in text
        text.encode("utf-8")
    assert len(mail.text) <= limits.text_chars
    assert len(mail.reply) <= len(mail.text) or mail.html_source
    assert len(mail.subject) <= limits.subject_chars
    assert len(mail.attachments) <= limits.attachments
    assert len(mail.references) <= limits.references
    assert sum(len(a.content) for a in mail.attachments) <= limits.attachments_bytes
    assert all(
        "/" not in a.filename and "\\" not in a.filename and a.filename not in {"", ".", ".."}
        for a in mail.attachments
    )
    assert classify(mail, frozenset({"own.example"}), None)
    assert len(identify("line", raw).source_key) == 64
    return mail


def test_a_hundred_thousand_nested_multiparts_are_too_deep() -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(100_000)
    )

    mail = parse_soundly(HEAD + nested)

    assert mail.subject == "Help"
    assert Problem.TOO_DEEP in mail.problems


def test_what_stands_above_the_depth_limit_is_kept() -> None:
    def wrap(inner: bytes, level: int) -> bytes:
        return b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n\nat %d\n--b%d\n%s\n--b%d--\n" % (
            *(level,) * 4,
            inner,
            level,
        )

    inner = b"Content-Type: text/plain\n\nbottom\n"
    for level in range(30, 0, -1):
        inner = wrap(inner, level)

    mail = parse_soundly(HEAD + inner)

    assert "at 1" in mail.text
    assert "at 20" in mail.text
    assert "at 21" not in mail.text
    assert Problem.TOO_DEEP in mail.problems


def test_a_hundred_thousand_nested_messages_are_one_attachment() -> None:
    mail = parse_soundly(HEAD + b"Content-Type: message/rfc822\n\n" * 100_000)

    assert len(mail.attachments) == 1


def test_of_fifty_thousand_parts_the_first_are_kept() -> None:
    mail = parse_soundly(MULTIPART + b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 50_000 + b"--B--\r\n")

    assert mail.text.count("x") == LIMITS.parts - 1
    assert mail.problems == {Problem.TOO_MANY_PARTS}


def test_a_header_of_ten_megabytes_is_cut_and_the_body_found() -> None:
    mail = parse_soundly(b"X-Long: " + b"a" * 10_000_000 + b"\r\n" + HEAD + b"\r\nbody")

    assert (mail.subject, mail.text) == ("Help", "body")
    assert mail.problems == {Problem.HEADERS_TRUNCATED}


@pytest.mark.parametrize("line", [b"X-Many: b\n", b"X-Fold: b\n" + b" x\n" * 50])
def test_a_million_header_lines_are_cut_and_the_body_found(line: bytes) -> None:
    mail = parse_soundly(HEAD + line * (1_000_000 // line.count(b"\n")) + b"\nbody")

    assert (mail.subject, mail.text) == ("Help", "body")
    assert Problem.HEADERS_TRUNCATED in mail.problems


def test_a_million_quoted_lines_are_shown_up_to_the_limit() -> None:
    mail = parse_soundly(HEAD + b"\r\n" + b">\n" * 1_000_000)

    assert mail.problems == {Problem.TEXT_TRUNCATED}
    assert set(mail.reply) == {">", "\n"}


@pytest.mark.parametrize(
    "raw",
    [
        MULTIPART + b"--B\n" * 50_000,
        MULTIPART + b"--x\n" * 500_000,
        HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"!@#$%A=" * 500_000,
        HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\n" * 1_000_000,
        HEAD + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\n" + b"#86)C\n" * 200_000,
        HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"a \n" * 300_000,
        HEAD + b"Content-Type: text/plain" + b';a="\\' * 100_000 + b"\r\n\r\nx",
        HEAD + b"Cc: " + b"=?a?q?" * 100_000 + b"\r\n\r\nx",
        HEAD + b"Cc: " + b"=?utf-8?B?0?= " * 50_000 + b"\r\n\r\nx",
        HEAD + b"References: " + b"<" * 100_000 + b"\r\n\r\nx",
        HEAD + b"\r\n" + b"From:\nTo:\nx\n" * 50_000,
        HEAD + b"\r\n" + b"On 1.1.2024 wrote x:\nx\n" * 20_000,
        HEAD + b"\r\n" + (b"a" * 399 + b":\n") * 1_000,
        HEAD + b"\r\n" + b"_" * 500_000,
        b"From: mailer-daemon@x.ru\r\n\r\n" + b"Message-ID:    " * 50_000,
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000,
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<blockquote><a '" * 50_000,
    ],
    ids=lambda raw: raw[40:70].decode("ascii", "replace"),
)
def test_a_bomb_ends_with_a_usable_result(raw: bytes) -> None:
    parse_soundly(raw)


@given(st.binary(max_size=2_000))
def test_any_bytes_are_parsed(raw: bytes) -> None:
    parse_soundly(raw)


FRAGMENTS = [
    b"From: ",
    b"Subject: ",
    b"Message-ID: <",
    b"Content-Type: multipart/mixed; boundary=B\n",
    b"\n\n",
    b"\n",
    b"\r",
    b"Content-Type: text/html\n",
    b"Content-Type: message/rfc822\n",
    b"Content-Transfer-Encoding: base64\n",
    b"--B\n",
    b"--B--\n",
    b"--C\n",
    b"Content-Type: multipart/alternative; boundary=C\n",
    b"=?utf-8?B?",
    b"?=",
    b"=?koi8-r?Q?",
    b"Content-Disposition: attachment; filename*0*=utf-8''%D0",
    b"; filename*1=",
    b'"',
    b"<a@b.ru>",
    b"\xd0\x9f",
    b"\xcf",
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=B\n",
    b"Content-Type: message/delivery-status\n",
    b"text",
    b" ",
    b"\x00",
    b"<div>",
    b"<blockquote>",
    b"> ",
    b"Content-Transfer-Encoding: x-uuencode\n",
    b"begin 6 a\n",
    b"charset=utf-16",
    b"; format=flowed",
    b"Action: failed\n",
    b"On 1.1.2024 10:00 a@b.ru wrote:\n",
]
SMALL = MailLimits(
    raw_bytes=2_000,
    parts=4,
    depth=2,
    header_bytes=300,
    header_count=5,
    header_value_bytes=60,
    subject_chars=20,
    text_chars=50,
    html_chars=80,
    attachments=1,
    attachments_bytes=40,
    addresses=2,
    references=3,
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=80).map(b"".join))
def test_any_arrangement_of_mail_like_pieces_is_parsed(raw: bytes) -> None:
    parse_soundly(raw)
    parse_soundly(raw, SMALL)


def valid_mail() -> bytes:
    message = EmailMessage()
    message["From"] = "Иван Петров <ivan@zavod.ru>"
    message["To"] = "support@example.ru"
    message["Subject"] = "Не работает терминал на складе номер пять, срочно нужна помощь"
    message["Message-ID"] = "<1@zavod.ru>"
    message.set_content("Здравствуйте!\n\n15.01.2024, 10:00, Support <s@example.ru>:\n> quote\n")
    message.add_alternative("<p>Здравствуйте!</p><blockquote>quote</blockquote>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Счёт.pdf")
    return message.as_bytes()


VALID = valid_mail()


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_a_mutated_mail_is_parsed(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    raw = bytearray(VALID)
    for _ in range(changes):
        at = chance.randrange(len(raw))
        match chance.randrange(4):
            case 0:
                raw[at] = chance.randrange(256)
            case 1:
                del raw[at : at + chance.randrange(1, 40)]
            case 2:
                raw[at:at] = raw[chance.randrange(len(raw)) :][: chance.randrange(1, 200)]
            case _:
                raw[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
    parse_soundly(bytes(raw))


def leaves_by_the_standard_library(message: Message) -> list[tuple[str, bytes]]:
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        parts = cast("list[Message]", message.get_payload())
        return [leaf for part in parts for leaf in leaves_by_the_standard_library(part)]
    content = cast("bytes | None", message.get_payload(decode=True))
    return [(message.get_content_type(), (content or b"").strip())]


def own_leaves(raw: bytes) -> list[tuple[str, bytes]]:
    parts = read_structure(raw, LIMITS).parts
    return [(part.media_type, content_of(raw, part, 100_000)[0].strip()) for part in parts]


@st.composite
def structures(draw: st.DrawFn, level: int = 0) -> Message:
    message = Message()
    kind = draw(st.sampled_from(["mixed", "alternative", "related", "leaf", "leaf"])) if level < 3 else "leaf"
    if kind == "leaf":
        message["Content-Type"] = draw(
            st.sampled_from(["text/plain", "text/html", "image/png", "application/pdf"])
        )
        message.set_payload(
            draw(st.sampled_from(["", "x", "two\nlines\n", "--not a delimiter\n--\nx", "Name: value\n"]))
        )
        return message
    boundary = draw(st.sampled_from(["a", "b'c", "=_x", "y:z"])) + f"-{level}-{draw(st.integers(0, 10**9))}"
    message["Content-Type"] = f'multipart/{kind}; boundary="{boundary}"'
    message.set_payload([draw(structures(level=level + 1)) for _ in range(draw(st.integers(1, 3)))])
    return message


@given(structures(), st.booleans())
def test_sound_structures_are_read_as_the_standard_library_reads_them(message: Message, crlf: bool) -> None:
    raw = message.as_bytes()
    raw = raw.replace(b"\n", b"\r\n") if crlf else raw

    assert own_leaves(raw) == leaves_by_the_standard_library(email.message_from_bytes(raw))


def cpython_samples() -> list[Path]:
    try:
        package = importlib.import_module("test.test_email")
    except ModuleNotFoundError:  # slim builds of Python come without their tests
        return []
    return sorted(path for path in (Path(package.__path__[0]) / "data").iterdir() if path.is_file())


CPYTHON_SAMPLES = cpython_samples()


@pytest.mark.parametrize("count", [len(CPYTHON_SAMPLES)], ids="{} samples".format)
def test_the_samples_of_cpython_are_as_many_as_this_python_brings(count: int) -> None:
    data = Path(sysconfig.get_path("stdlib")) / "test" / "test_email" / "data"
    brought = [path for path in data.iterdir() if path.is_file()] if data.is_dir() else []

    assert count == len(brought)


if CPYTHON_SAMPLES:  # over an empty list, pytest would report a skip

    @pytest.mark.parametrize("path", CPYTHON_SAMPLES, ids=lambda path: path.name)
    def test_the_samples_of_cpython_are_parsed(path: Path) -> None:
        parse_soundly(path.read_bytes())
        parse_soundly(path.read_bytes(), SMALL)
