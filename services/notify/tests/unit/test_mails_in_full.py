"""Mails byte by byte, headers at their limits, words of each language, and when a mail is tried again."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from deskline_events.facts import Language
from deskline_events.notify import NotificationKind, Recipient
from deskline_notify.domain.cleaning import body_text, one_line, usable_message_id
from deskline_notify.domain.header_words import mailbox_value, text_value
from deskline_notify.domain.ids import message_id_of, notification_id_of, plus_address, usable_address
from deskline_notify.domain.mails import MOST_SUBJECT, Mail, compose, page_of
from deskline_notify.domain.retrying import (
    GIVE_UP_AFTER,
    MOST_DELAY,
    delay_after,
    is_our_fault,
    is_permanent,
)
from deskline_notify.domain.threads import Thread
from deskline_notify.domain.variables import (
    KINDS,
    LANGUAGES,
    VARIABLES,
    clock_in,
    moment_in,
    priority_in,
    sample_of,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MAIL = Mail(
    notification_id=UUID(int=7),
    message_id="abc.t0ken@desk.example",
    thread=Thread("first@client.example", ("zero@client.example", "first@client.example")),
    sender_name="Support",
    sender_address="help@brand.example",
    recipient="ann@client.example",
    reply_to="help+t0ken@brand.example",
    subject="Re: Printer [#7]",
    text="\n\nHello & welcome,\nDone.\n\nYours\n",
    html=None,
    language="en",
    automatic="auto-replied",
)
PAGE = (
    '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"></head>\n'
    '<body style="font-family:sans-serif;font-size:15px;line-height:1.5">\n'
    "<p>Hello &amp; welcome,<br>\nDone.</p>\n<p>Yours</p>\n</body>\n</html>\n"
)
EXPECTED = """Message-ID: <abc.t0ken@desk.example>
In-Reply-To: <first@client.example>
References: <zero@client.example>
 <first@client.example>
From: Support <help@brand.example>
To: ann@client.example
Reply-To: Support <help+t0ken@brand.example>
Subject: Re: Printer [#7]
Date: Sun, 22 Nov 2026 03:00:00 +0000
Auto-Submitted: auto-replied
X-Auto-Response-Suppress: All
MIME-Version: 1.0
Content-Type: multipart/alternative;
 boundary="=_00000000000000000000000000000007"

--=_00000000000000000000000000000007
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: 7bit

Hello & welcome,
Done.

Yours

--=_00000000000000000000000000000007
Content-Type: text/html; charset="utf-8"
Content-Transfer-Encoding: 7bit

{page}
--=_00000000000000000000000000000007--
"""


def sent(mail: Mail) -> str:
    return compose(mail, NOW).decode("ascii").replace("\r\n", "\n")


def test_a_mail_byte_by_byte() -> None:
    assert sent(MAIL) == EXPECTED.format(page=PAGE)
    assert compose(MAIL, NOW).count(b"\n") == compose(MAIL, NOW).count(b"\r\n")


def test_a_page_that_was_given_is_sent() -> None:
    given = sent(replace(MAIL, html="<p>ours\x00</p>\n"))
    assert "\n\n<p>ours</p>\n\n--" in given
    assert PAGE not in given


def test_what_is_not_there_has_no_header() -> None:
    bare = replace(MAIL, thread=Thread(), reply_to=None, automatic=None)
    names = [line.partition(":")[0] for line in sent(bare).partition("\n\n")[0].split("\n")]
    boundary = f' boundary="=_{"0" * 31}7"'
    names_of_all = ["Message-ID", "From", "To", "Subject", "Date", "MIME-Version", "Content-Type"]
    assert names == [*names_of_all, boundary]


@pytest.mark.parametrize(("length", "encoding"), [(76, "7bit"), (77, "quoted-printable")])
def test_a_line_may_be_as_long_as_that(length: int, encoding: str) -> None:
    text, _, page = sent(replace(MAIL, text="x" * length, html="<p></p>")).partition("text/html")
    assert f"Content-Transfer-Encoding: {encoding}\n" in text
    assert "Content-Transfer-Encoding: 7bit\n" in page


def test_a_long_line_of_short_words_is_long() -> None:
    text, _, _ = sent(replace(MAIL, text="word " * 30)).partition("text/html")
    assert "Content-Transfer-Encoding: quoted-printable\n" in text


def test_of_a_text_only_empty_lines_around_it_are_left_out() -> None:
    content = sent(replace(MAIL, text="\n\nX a\n b X\n\n"))
    assert "7bit\n\nX a\n b X\n\n--" in content
    assert "<p>X a<br>\n b X</p>" in content
    assert page_of("\n\n  a \n", "en").count("<p>  a </p>") == 1


def test_a_text_in_base64_and_in_quoted_printable() -> None:
    russian = sent(replace(MAIL, text="Готово", html="x"))
    assert base64.encodebytes("Готово\r\n".encode()).decode() in russian
    french = sent(replace(MAIL, text="x" * 60 + " é = " + "y" * 60, html="x"))
    assert "=C3=A9 =3D " in french
    # A line's end is one in the encoding too.
    assert "=0D" not in french
    assert "=0A" not in french
    assert "quoted-printable" in french


def test_what_no_header_may_carry_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^To holds what no header may carry$"):
        compose(replace(MAIL, recipient="a@b\r\nBcc: c@d"), NOW)
    with pytest.raises(ValueError, match=r"^a Message-ID holds what no header may carry$"):
        compose(replace(MAIL, message_id="<a@b>"), NOW)
    for recipient in ("a\nb", "a\rb", "a\r\n", "a\r\n ", "a\r\n \r\n b", "é", "\x7f", "\x00"):
        with pytest.raises(ValueError, match="To holds"):
            compose(replace(MAIL, recipient=recipient), NOW)
    assert "To: a\n b~\n" in sent(replace(MAIL, recipient="a\r\n b~"))


def test_a_page_keeps_lines_and_paragraphs() -> None:
    assert page_of("\nHello & welcome,\nDone.\n\n \n\nYours\n", "en") == PAGE
    assert '<html lang="ru">' in page_of("x", "ru")


# Headers


def words(line: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(line.encode()).decode()}?="


def test_a_subject_is_folded_at_blanks_and_encoded_where_it_must_be() -> None:
    assert text_value("Printer\r\n down", 250) == "Printer down"
    assert text_value("a" * 56, 250) == "a" * 56
    assert text_value("a" * 57, 250) == f"{words('a' * 45)}\r\n {words('a' * 12)}"
    assert text_value(f"{'a' * 50} {'b' * 5} c", 250) == f"{'a' * 50} {'b' * 5}\r\n c"
    assert text_value(f"{'a' * 50} {'b' * 6}", 250) == f"{'a' * 50}\r\n {'b' * 6}"
    assert text_value("x =?utf-8?q?y?=", 250) == words("x =?utf-8?q?y?=")
    assert text_value("Я" * 23, 250) == f"{words('Я' * 22)}\r\n {words('Я')}"
    assert text_value("a" * 10, 5) == words("aaaa…")
    assert text_value("", 250) == ""


def test_a_name_stands_bare_quoted_or_encoded() -> None:
    assert mailbox_value("", "a@b") == "a@b"
    assert mailbox_value(" \r\n ", "a@b") == "a@b"
    assert mailbox_value("Ann Smith 2", "a@b") == "Ann Smith 2 <a@b>"
    assert mailbox_value('A "B" \\ C', "a@b") == '"A \\"B\\" \\\\ C" <a@b>'
    assert mailbox_value("Ann, Smith", "a@b") == '"Ann, Smith" <a@b>'
    assert mailbox_value("Анна", "a@b") == f"{words('Анна')} <a@b>"
    assert mailbox_value("a=?b", "a@b") == f"{words('a=?b')} <a@b>"
    assert mailbox_value("a" * 35, "a@b") == f"{'a' * 35} <a@b>"
    assert mailbox_value("a" * 36, "a@b") == f"{'a' * 36}\r\n <a@b>"


# Cleaning


def test_a_line_is_cut_with_a_sign_of_it() -> None:
    assert one_line("a" * 200) == "a" * 200
    assert one_line("a" * 201) == "a" * 199 + "…"
    assert one_line("ab cd", 4) == "ab…"
    assert one_line(" ab  cd", 5) == "ab cd"
    assert one_line("ab  cdef", 4) == "ab…"
    assert one_line("a bcdef", 4) == "a b…"


@pytest.mark.parametrize("unwanted", ["\x00", "\u200b", "\ud800", "\ue000", "\u0378", "\u2028", "\u2029"])
def test_what_cannot_be_seen_becomes_a_blank(unwanted: str) -> None:
    assert one_line(f"a{unwanted}b") == "a b"
    assert one_line("a\u200cb\u200dc") == "a\u200cb\u200dc"


def test_a_body_keeps_tabs_and_lines() -> None:
    assert body_text("a\r\nb\rc\n\td\x00\x7f\ud800\u200be") == "a\nb\nc\n\td\u200be"


def test_a_message_id_is_usable_bare() -> None:
    assert usable_message_id(" <a@b> ") == "a@b"
    assert usable_message_id("!~@;=") == "!~@;="
    assert usable_message_id(f"{'a' * 200}@{'b' * 200}") == f"{'a' * 200}@{'b' * 200}"
    for other in ("a@b>c", "a<@b", f"{'a' * 201}@b", f"a@{'b' * 201}", "@b", "a@", "<<a@b>", "<a@b>>"):
        assert usable_message_id(other) is None


# Ids and addresses


def test_ids_are_the_same_for_ever() -> None:
    recipient = Recipient(kind="contact", id=UUID(int=2))
    identity = notification_id_of(UUID(int=1), recipient, "email")
    assert identity == UUID("bf149c80-e178-5fb7-97fe-d0f27219ab2f")
    named = base64.b32encode(identity.bytes).decode().strip("=").lower()
    assert message_id_of(identity, "t0ken", "desk.example") == f"{named}.t0ken@desk.example"
    assert len(named) == 26


def test_a_token_goes_into_an_address_that_has_room() -> None:
    assert plus_address(f"{'h' * 58}@b", "token") == f"{'h' * 58}+token@b"
    assert plus_address(f"{'h' * 59}@b", "token") == f"{'h' * 59}@b"
    assert plus_address('"a@c"@b', "t") == '"a@c"+t@b'


def test_an_address_is_usable_up_to_its_limits() -> None:
    local = "x" * 64
    assert usable_address(f"{local}@c.example") == f"{local}@c.example"
    labels = ".".join(["b" * 60] * 3)
    assert usable_address(f"{'a' * 64}@{labels}.{'c' * 6}") == f"{'a' * 64}@{labels}.{'c' * 6}"
    assert usable_address(f"{'a' * 64}@{labels}.{'c' * 7}") is None
    assert usable_address("a.!#$%&'*+/=?^_`{|}~-Z9@C-d.example") == "a.!#$%&'*+/=?^_`{|}~-Z9@C-d.example"
    assert usable_address("ivan@почта。рф") == "ivan@xn--80a1acny.xn--p1ai"
    assert usable_address("a@b..c") is None
    assert usable_address("a@b@c.example") is None


# Retrying


@pytest.mark.parametrize(
    ("code", "permanent", "ours"),
    [
        (250, False, False),
        (499, False, False),
        (500, True, False),
        (530, False, True),
        (531, True, False),
        (534, False, True),
        (535, False, True),
        (538, False, True),
        (550, True, False),
        (599, True, False),
        (600, False, False),
    ],
)
def test_what_a_providers_code_means(code: int, permanent: bool, ours: bool) -> None:
    assert (is_permanent(code), is_our_fault(code)) == (permanent, ours)


def test_tries_double_up_to_half_an_hour_spread_by_half() -> None:
    first = timedelta(seconds=4)
    assert [delay_after(tries, first, 0.5) for tries in (0, 1, 2, 3, 4)] == [
        first,
        first,
        first * 2,
        first * 4,
        first * 8,
    ]
    assert delay_after(1, first, 0.0) == timedelta(seconds=2)
    assert delay_after(1, first, 1.0) == timedelta(seconds=6)
    assert delay_after(99, first, 0.5) == MOST_DELAY == timedelta(minutes=30)
    tiny = timedelta(microseconds=1)
    assert delay_after(13, tiny, 0.5) == delay_after(99, tiny, 0.5) == tiny * 4096
    assert timedelta(hours=24) == GIVE_UP_AFTER


# Words


def test_priorities_and_clocks_have_words() -> None:
    assert [priority_in("ru", one) for one in ("low", "medium", "high", "critical")] == [
        "низкий",
        "средний",
        "высокий",
        "критический",
    ]
    assert [priority_in("en", one) for one in ("low", "medium", "high", "critical")] == [
        "low",
        "medium",
        "high",
        "critical",
    ]
    clocks = ("first_response", "resolution", "newer")
    assert [clock_in("ru", one) for one in clocks] == ["первый ответ", "решение", "newer"]
    assert [clock_in("en", one) for one in clocks] == ["first response", "resolution", "newer"]


def test_a_moment_is_written_as_its_readers_write_it() -> None:
    moscow = ZoneInfo("Europe/Moscow")
    assert moment_in("ru", NOW, moscow) == "22.11.2026 06:00 (Europe/Moscow)"
    assert moment_in("en", NOW, moscow) == "2026-11-22 06:00 (Europe/Moscow)"


def test_each_kind_has_these_variables_and_a_sample_of_each() -> None:
    ticket = ("number", "subject", "line_name")
    staff = (*ticket, "recipient_name", "priority", "level")
    assert dict(VARIABLES) == {
        "acknowledgement": ticket,
        "reply": (*ticket, "text", "operator_name"),
        "offer": (*staff, "until"),
        "assignment": staff,
        "warning": (*staff, "clock", "due_at"),
        "breach": (*staff, "clock", "due_at"),
        "apology": (*ticket, "forecast_at"),
    }
    assert (get_args(NotificationKind), get_args(Language)) == (KINDS, LANGUAGES)
    english: dict[str, Any] = {}
    russian: dict[str, Any] = {}
    for kind in KINDS:
        english |= sample_of(kind, "en")
        russian |= sample_of(kind, "ru")
        assert tuple(sample_of(kind, "en")) == tuple(sample_of(kind, "ru")) == VARIABLES[kind]
    assert english["number"] == russian["number"] == "1042"
    assert english["level"] == russian["level"] == "1"
    assert (english["priority"], russian["priority"]) == ("high", "высокий")
    assert (english["clock"], russian["clock"]) == ("first response", "первый ответ")
    assert all(english.values())
    assert all(russian.values())


def test_a_subject_has_this_much_room() -> None:
    assert MOST_SUBJECT == 250
    subject = f"Subject: {text_value('я' * 250, 250)}\n".replace("\r\n", "\n")
    assert subject in sent(replace(MAIL, subject="я" * 250))
    cut = f"Subject: {text_value('я' * 249 + '…', 250)}\n".replace("\r\n", "\n")
    assert cut in sent(replace(MAIL, subject="я" * 251))
