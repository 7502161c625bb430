"""Raw mails as facts: headers, text, attachments, as real clients write them."""

import base64
import pickle
import quopri
from hashlib import sha256
from typing import Never

import pytest

from deskline_intake.domain import mail as mail_module
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import ParsedMail, guess_language, parse_mail
from deskline_intake.domain.problems import Problem

pytestmark = pytest.mark.unit

LIMITS = MailLimits()


def parse(*lines: str, limits: MailLimits = LIMITS) -> ParsedMail:
    return parse_mail("\r\n".join(lines).encode(), limits)


def b64(text: str, charset: str = "utf-8") -> str:
    return base64.b64encode(text.encode(charset)).decode()


def word(text: str, charset: str = "utf-8") -> str:
    return f"=?{charset}?B?{b64(text, charset)}?="


GMAIL = (
    "Delivered-To: support+tok-1@example.ru",
    "Received: by 2002:a05:6402 with SMTP id x; Mon, 15 Jan 2024 10:00:00 +0300",
    "Return-Path: <ivan@zavod.ru>",
    "MIME-Version: 1.0",
    "References: <t0@deskline.example.ru> <t1@deskline.example.ru>",
    "In-Reply-To: <t1@deskline.example.ru>",
    f"From: {word('Иван Петров')} <Ivan@Zavod.ru>",
    "Date: Mon, 15 Jan 2024 10:00:00 +0300",
    "Message-ID: <CAF+x=1@mail.gmail.com>",
    f"Subject: {word('Re: Не работает терминал')}",
    " " + word(" на складе"),
    f"To: {word('Поддержка')} <support+tok-1@example.ru>, Anna <anna@zavod.ru>",
    "Cc: boss@zavod.ru",
    'Content-Type: multipart/mixed; boundary="0000000000006d"',
    "",
    "--0000000000006d",
    'Content-Type: multipart/alternative; boundary="0000000000006e"',
    "",
    "--0000000000006e",
    'Content-Type: text/plain; charset="UTF-8"',
    "Content-Transfer-Encoding: base64",
    "",
    b64("Заработало.\n\nпн, 15 янв. 2024 г. в 10:00, Поддержка <support@example.ru>:\n\n> Перезагрузите\n"),
    "--0000000000006e",
    'Content-Type: text/html; charset="UTF-8"',
    "Content-Transfer-Encoding: quoted-printable",
    "",
    quopri.encodestring("<div>Заработало.</div>".encode()).decode(),
    "--0000000000006e--",
    "--0000000000006d",
    'Content-Type: application/pdf; name="=?UTF-8?B?0KHRh9GR0YIucGRm?="',
    "Content-Disposition: attachment; filename*=UTF-8''%D0%A1%D1%87%D1%91%D1%82.pdf",
    "Content-Transfer-Encoding: base64",
    "X-Attachment-Id: f_1",
    "",
    base64.b64encode(b"%PDF-1.4").decode(),
    "--0000000000006d--",
)


def test_a_reply_from_gmail_gives_all_its_facts() -> None:
    mail = parse(*GMAIL)

    assert mail.message_id == "CAF+x=1@mail.gmail.com"
    assert mail.in_reply_to == "t1@deskline.example.ru"
    assert mail.references == ("t0@deskline.example.ru", "t1@deskline.example.ru")
    assert (mail.from_address, mail.from_name) == ("ivan@zavod.ru", "Иван Петров")
    assert mail.to == ("support+tok-1@example.ru", "anna@zavod.ru")
    assert mail.cc == ("boss@zavod.ru",)
    assert mail.delivered_to == ("support+tok-1@example.ru",)
    assert mail.return_path == "ivan@zavod.ru"
    assert mail.subject == "Re: Не работает терминал на складе"
    assert mail.date_header == "Mon, 15 Jan 2024 10:00:00 +0300"
    assert mail.text.startswith("Заработало.")
    assert mail.text.endswith("> Перезагрузите")
    assert mail.reply == "Заработало."
    assert not mail.html
    assert mail.html_source == "<div>Заработало.</div>"
    assert mail.language == "ru"
    (attachment,) = mail.attachments
    assert (attachment.filename, attachment.media_type) == ("Счёт.pdf", "application/pdf")
    assert attachment.content == b"%PDF-1.4"
    assert attachment.sha256 == sha256(b"%PDF-1.4").hexdigest()
    assert not attachment.inline
    assert mail.problems == frozenset()


def test_a_parsed_mail_travels_between_processes() -> None:
    mail = parse(*GMAIL)

    assert pickle.loads(pickle.dumps(mail)) == mail


def test_outlook_with_an_inline_picture_and_html_only() -> None:
    mail = parse(
        "From: ivan@zavod.ru",
        'Content-Type: multipart/related; boundary="R"',
        "",
        "--R",
        "Content-Type: text/html; charset=windows-1251",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        quopri.encodestring('<p class=MsoNormal>Смотрите <img src="cid:i1@x"></p>'.encode("cp1251")).decode(),
        "--R",
        'Content-Type: image/png; name="image001.png"',
        "Content-ID: <i1@x>",
        "Content-Transfer-Encoding: base64",
        "",
        base64.b64encode(b"\x89PNG").decode(),
        "--R--",
    )

    assert mail.text == "Смотрите"
    assert mail.html
    (picture,) = mail.attachments
    assert picture.inline
    assert picture.content_id == "i1@x"


def test_apple_mail_interleaves_text_and_attachments() -> None:
    mail = parse(
        "From: ivan@zavod.ru",
        "Content-Type: multipart/mixed; boundary=A",
        "",
        "--A",
        "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes",
        "",
        "Посмо ",
        "трите:",
        "--A",
        "Content-Type: text/plain; name=log.txt",
        "Content-Disposition: inline; filename=log.txt",
        "",
        "line",
        "--A",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "Спасибо",
        "--A--",
    )

    assert mail.text == "Посмотрите:\n\nСпасибо"
    assert [(a.filename, a.content, a.inline) for a in mail.attachments] == [("log.txt", b"line", True)]


def test_thunderbirds_flowed_lines_are_joined_and_their_quotes_kept_apart() -> None:
    mail = parse(
        "From: ivan@zavod.ru",
        "Content-Type: text/plain; charset=utf-8; format=flowed",
        "",
        "15.01.2024 10:00, Support wrote:",
        "> long quoted ",
        "> line",
        "A long ",
        "answer.",
        "-- ",
        "Ivan",
    )

    assert mail.text == "15.01.2024 10:00, Support wrote:\n> long quoted line\nA long answer.\n-- \nIvan"
    assert mail.reply == "A long answer."


def test_a_quote_that_only_the_html_marks_is_left_out_of_the_reply() -> None:
    mail = parse(
        "From: ivan@zavod.ru",
        "Content-Type: multipart/alternative; boundary=A",
        "",
        "--A",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "Готово",
        "",
        "Перезагрузите терминал",
        "--A",
        "Content-Type: text/html; charset=utf-8",
        "",
        "<div>Готово</div><blockquote>Перезагрузите терминал</blockquote>",
        "--A--",
    )

    assert mail.reply == "Готово"
    assert "Перезагрузите" in mail.text


def test_an_invitation_beside_the_text_is_an_attachment() -> None:
    mail = parse(
        "From: ivan@zavod.ru",
        "Content-Type: multipart/alternative; boundary=A",
        "",
        "--A",
        "Content-Type: text/plain",
        "",
        "Meeting",
        "--A",
        "Content-Type: text/calendar; method=REQUEST",
        "",
        "BEGIN:VCALENDAR",
        "--A--",
    )

    assert mail.text == "Meeting"
    assert [a.filename for a in mail.attachments] == ["attachment.ics"]


def test_a_forwarded_mail_is_one_attachment_with_everything_in_it() -> None:
    mail = parse(
        "From: ivan@zavod.ru",
        "Content-Type: multipart/mixed; boundary=A",
        "",
        "--A",
        "Content-Type: message/rfc822",
        "",
        "From: x@y.ru",
        "Content-Type: multipart/mixed; boundary=B",
        "",
        "--B",
        "",
        "inner",
        "--B--",
        "--A--",
    )

    (attachment,) = mail.attachments
    assert attachment.media_type == "message/rfc822"
    assert attachment.content.endswith(b"--B--")
    assert mail.text == ""


def test_a_bare_carriage_return_starts_no_header() -> None:
    mail = parse_mail(b"Subject: a\rFrom: boss@bank.ru\r\nFrom: ivan@zavod.ru\r\n\r\nx", LIMITS)

    assert mail.subject == "a From: boss@bank.ru"
    assert mail.from_address == "ivan@zavod.ru"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_any_line_ending_will_do(newline: bytes) -> None:
    mail = parse_mail(newline.join((b"From: a@b.ru", b"Subject: s", b"", b"one", b"two")), LIMITS)

    assert (mail.from_address, mail.subject, mail.text) == ("a@b.ru", "s", "one\ntwo")


def test_the_first_of_two_senders_wins_and_is_flagged() -> None:
    mail = parse("From: ivan@zavod.ru", "From: boss@bank.ru", "Subject: a", "Subject: b", "", "x")

    assert (mail.from_address, mail.subject) == ("ivan@zavod.ru", "a")
    assert Problem.DUPLICATE_HEADER in mail.problems


@pytest.mark.parametrize(
    ("value", "message_id"),
    [
        ("<a@b>", "a@b"),
        (" < a@b > ", "a@b"),
        ("<a\r\n b@c>", "ab@c"),
        ("a@b", "a@b"),
        ("<>", None),
        ("", None),
        ("<a@b> (comment) <c@d>", "a@b"),
        ("<\x00a\x01@b>", "a@b"),
    ],
)
def test_a_message_id_is_comparable(value: str, message_id: str | None) -> None:
    found = parse(f"Message-ID: {value}", "", "x").message_id

    assert found == message_id


def test_a_long_message_id_is_cut() -> None:
    message_id = parse(f"Message-ID: <{'a' * 5_000}@b>", "", "x").message_id

    assert message_id is not None
    assert len(message_id) == 500


def test_of_many_references_the_first_and_the_last_are_kept() -> None:
    references = parse("References: " + " ".join(f"<{n}@x>" for n in range(1_000)), "", "x").references

    assert len(references) == LIMITS.references
    assert references[0] == "0@x"
    assert references[-1] == "999@x"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("multipart/mixed", "--A\r\n\r\nx\r\n--A--", "--A\n\nx\n--A--"),
        ("multipart/mixed; boundary=A", "no delimiter at all", "no delimiter at all"),
        ("multipart/mixed; boundary=A", "--A\r\n\r\nunclosed", "unclosed"),
        ("multipart/mixed; boundary=A", "--A  \r\n\r\nx\r\n--A--  \r\nepilogue", "x"),
        ("multipart/mixed; boundary=A", "preamble\r\n--A\r\nno colon here\r\n--A--", "no colon here"),
        ("text", "x", "x"),
        (";;;", "x", "x"),
        ("текст/обычный", "x", "x"),
    ],
)
def test_a_malformed_structure_still_shows_its_text(content_type: str, body: str, text: str) -> None:
    assert parse("From: a@b.ru", f"Content-Type: {content_type}", "", body).text == text


def test_text_holds_no_characters_that_a_database_refuses() -> None:
    mail = parse("From: a@b.ru", "", "a\x00b\x1bc\u202ed\tе")

    assert mail.text == "abcd\tе"


def test_an_oversize_mail_gives_its_headers() -> None:
    mail = parse(*GMAIL, limits=MailLimits(raw_bytes=1_000))

    assert mail.problems == {Problem.OVERSIZE}
    assert mail.subject == "Re: Не работает терминал на складе"
    assert mail.from_address == "ivan@zavod.ru"
    assert (mail.text, mail.attachments) == ("", ())


def test_attachments_over_number_or_size_are_dropped_and_the_rest_kept() -> None:
    parts = [
        line
        for n in range(5)
        for line in (
            "--A",
            "Content-Type: a/b",
            f"Content-Disposition: attachment; filename={n}",
            "",
            "x" * 100,
        )
    ]
    mail = ("From: a@b.ru", "Content-Type: multipart/mixed; boundary=A", "", *parts, "--A--")

    few = parse(*mail, limits=MailLimits(attachments=2))
    small = parse(*mail, limits=MailLimits(attachments_bytes=250))

    assert [a.filename for a in few.attachments] == [a.filename for a in small.attachments] == ["0", "1"]
    assert few.problems == small.problems == {Problem.ATTACHMENT_DROPPED}


def test_long_text_is_cut_between_characters_and_flagged() -> None:
    mail = parse(
        "From: a@b.ru",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "ж" * 1_000,
        limits=MailLimits(text_chars=99),
    )

    assert mail.text == "ж" * 99
    assert mail.problems == {Problem.TEXT_TRUNCATED}


def test_a_mail_without_a_sender_says_so() -> None:
    mail = parse("Subject: x", "From: nobody at all", "", "text")

    assert mail.from_address is None
    assert mail.from_name == "nobody at all"
    assert Problem.NO_SENDER in mail.problems


@pytest.mark.parametrize(
    ("text", "language"), [("Привет, world", "ru"), ("Hello, мир is here", "en"), ("123 +", None)]
)
def test_the_language_goes_by_its_letters(text: str, language: str | None) -> None:
    assert guess_language(text) == language


def test_a_failing_parser_still_gives_the_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Never:
        raise RuntimeError

    monkeypatch.setattr(mail_module, "read_body", fail)
    mail = parse(*GMAIL)

    assert mail.subject == "Re: Не работает терминал на складе"
    assert mail.problems == {Problem.UNPARSEABLE}

    monkeypatch.setattr(mail_module, "read_headers", fail)
    assert Problem.UNPARSEABLE in parse(*GMAIL).problems
