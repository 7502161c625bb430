"""Mails as bytes: threaded, in both languages, and closed to whatever people type."""

import email
import email.policy
import gc
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskline_notify.domain.cleaning import body_text, one_line, usable_message_id
from deskline_notify.domain.ids import usable_address
from deskline_notify.domain.mails import Mail, compose, page_of
from deskline_notify.domain.threads import Thread

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
PLAIN = Mail(
    notification_id=UUID(int=7),
    message_id="abc.t0ken@desk.example",
    thread=Thread("first@client.example", ("first@client.example",)),
    sender_name="Поддержка",
    sender_address="help@brand.example",
    recipient="ivan@client.example",
    reply_to="help+t0ken@brand.example",
    subject="Re: Принтер [#1042]",
    text="Здравствуйте!\n\nГотово.",
    html=None,
    language="ru",
    automatic="auto-replied",
)
HEADERS = [
    "Message-ID", "In-Reply-To", "References", "From", "To", "Reply-To", "Subject", "Date", "Auto-Submitted",
    "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
]  # fmt: skip
HOSTILE = st.one_of(
    st.text(max_size=300),
    st.text(st.sampled_from("\r\n\0\x0b\x0c\x85\u2028\u2029 :<>@,;\"'()=?aЯ\t"), max_size=200),
    st.sampled_from(
        [
            "a\r\nBcc: victim@x.example",
            "a\n\n<script>",
            "=?utf-8?q?a=0D=0ABcc:_v@x.example?=",
            '\\" <b@c>, "',
            '"a" <b@c>, d@e',
        ]
    ),
)


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_mail_has_its_headers_a_text_and_a_page() -> None:
    message = parsed(compose(PLAIN, NOW))
    assert message.keys() == HEADERS
    assert message["Message-ID"] == "<abc.t0ken@desk.example>"
    assert message["Subject"] == PLAIN.subject
    assert message["From"].addresses[0].display_name == "Поддержка"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == PLAIN.text + "\n"


def test_the_same_mail_has_the_same_bytes_but_for_its_date() -> None:
    assert compose(PLAIN, NOW) == compose(PLAIN, NOW)


def test_a_persons_reply_carries_no_sign_of_a_machine() -> None:
    message = parsed(compose(replace(PLAIN, automatic=None), NOW))
    assert not {"Auto-Submitted", "X-Auto-Response-Suppress"} & set(message.keys())


def test_every_line_is_ascii_and_short_and_ends_with_cr_lf() -> None:
    long = replace(PLAIN, text="слово " * 500 + "x" * 5000, subject="Принтер " * 30)
    content = compose(long, NOW)
    content.decode("ascii")
    lines = content.split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert max(len(line) for line in lines) <= 120


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("plain and short", "7bit"), ("x" * 100, "quoted-printable"), ("слово " * 20, "base64")],
)
def test_a_text_is_encoded_only_where_it_must_be_and_as_short_as_can_be(text: str, encoding: str) -> None:
    read = parsed(compose(replace(PLAIN, text=text), NOW)).get_body(("plain",))
    assert read is not None
    assert read["Content-Transfer-Encoding"] == encoding
    assert read.get_content().replace("\r\n", "\n") == text + "\n"


def test_a_written_mail_leaves_nothing_to_the_cyclic_collector() -> None:
    compose(PLAIN, NOW)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            compose(PLAIN, NOW)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_long_ids_are_never_encoded_as_words() -> None:
    ids = tuple(f"{'x' * 90}.{number}@client.example" for number in range(10))
    content = compose(replace(PLAIN, thread=Thread(ids[-1], ids)), NOW)
    assert parsed(content)["References"].split() == [f"<{one}>" for one in ids]
    assert b"=?" not in content.partition(b"From:")[0]


@settings(max_examples=300, deadline=None)
@given(subject=HOSTILE, name=HOSTILE, text=HOSTILE)
def test_header_injection_is_impossible_by_any_text(subject: str, name: str, text: str) -> None:
    message = parsed(compose(replace(PLAIN, subject=subject, sender_name=name, text=text), NOW))
    assert message.keys() == HEADERS
    assert str(message["Subject"]) == one_line(subject, 250)
    assert [(one.addr_spec) for one in message["From"].addresses] == ["help@brand.example"]
    assert [(one.addr_spec) for one in message["Reply-To"].addresses] == ["help+t0ken@brand.example"]
    assert [(one.addr_spec) for one in message["To"].addresses] == ["ivan@client.example"]
    assert len(list(message.iter_parts())) == 2
    read = message.get_body(("plain",))
    assert read is not None
    assert read.get_content().replace("\r\n", "\n") == body_text(text).strip("\n") + "\n"


@pytest.mark.parametrize(
    "message_id",
    ["a@b>\r\nBcc: victim@x.example", "a b@c", "<<a@b", "a@b\0", "@", "a", "a@b" + "c" * 300, "ю@b.example"],
)
def test_header_injection_by_a_message_id_is_refused(message_id: str) -> None:
    assert usable_message_id(message_id) is None
    with pytest.raises(ValueError, match="Message-ID"):
        compose(replace(PLAIN, thread=Thread(message_id + "\n", ())), NOW)


@given(st.text(st.characters(min_codepoint=0, max_codepoint=0x2FFF), max_size=400))
def test_a_usable_message_id_is_printable_and_without_brackets(text: str) -> None:
    usable = usable_message_id(text)
    assert usable is None or (usable.isascii() and usable.isprintable() and not set("<> ") & set(usable))


@given(HOSTILE)
def test_cleaning_gives_one_line_and_changes_it_no_more(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 200
    assert len(line.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)
    assert one_line(line) == line


def test_cleaning_keeps_what_people_write() -> None:
    assert one_line("  Не печатает\r\n принтер №2 👩\u200d🔧 ") == "Не печатает принтер №2 👩\u200d🔧"
    assert body_text("a\r\nb\rc\x00\x07d\te") == "a\nb\ncd\te"


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("ivan@client.example", "ivan@client.example"),
        (" ivan@почта.рф ", "ivan@xn--80a1acny.xn--p1ai"),
        ("a@b.example>\r\nRCPT TO:<c@d.example", None),
        ("a b@c.example", None),
        ("a@b@c.example", None),
        ("иван@client.example", None),
        ("nobody", None),
        ("@client.example", None),
        (f"{'x' * 65}@client.example", None),
        (f"a@{'b.' * 130}example", None),
        ("a@-..b", None),
    ],
)
def test_header_injection_by_an_address_is_refused(address: str, usable: str | None) -> None:
    assert usable_address(address) == usable


def test_script_in_a_text_is_text_in_the_page() -> None:
    page = page_of("<script>alert(1)</script>\nnext\n\n\"q\" & 'r'", "en")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>\nnext</p>" in page
    assert page.count("<p>") == 2


def test_nothing_of_a_mail_is_in_an_error(monkeypatch: Any) -> None:
    with pytest.raises(ValueError) as raised:
        compose(replace(PLAIN, message_id="canary\r\n@x"), NOW)
    assert "canary" not in str(raised.value)
