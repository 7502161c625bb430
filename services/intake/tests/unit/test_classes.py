"""Who wrote a mail, by all that tells it; and whole mails."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from deskline_intake.domain.classify import Classification, classify, suppress_auto_reply
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import ParsedMail, guess_language, parse_mail
from deskline_intake.domain.problems import Problem

pytestmark = pytest.mark.unit

MAIL = (
    b"Received: from a by b\r\nFrom: ivan@zavod.ru\r\nTo: support@example.ru\r\n"
    b"Date: Mon, 15 Jan 2024 10:00:00 +0300\r\nSubject: Help\r\nMessage-ID: <1@zavod.ru>\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\nIn-Reply-To: <0@zavod.ru>\r\n\r\n"
    b"It broke.\rBadly.\r\n\t\r\n"
)
NAMELESS = MAIL.replace(b"Message-ID: <1@zavod.ru>\r\n", b"")
BODY = "bdcf1d894b1859a8fe3186a74722203f9459e2c7ad0eee42251f7336a75988b7"
LINE = UUID(int=4)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


# Classes


def mail(**given: Any) -> ParsedMail:
    return ParsedMail(**({"from_address": "ann@client.example", "subject": "Printer"} | given))


def signal(name: str, value: str, **given: Any) -> ParsedMail:
    return mail(signals=((name, value),), **given)


CLASSES: list[tuple[str, ParsedMail, str | None, str]] = [
    ("a person", mail(), "ann@client.example", "human"),
    ("an unknown envelope", mail(), None, "human"),
    ("no answer is asked for", signal("auto-submitted", "no"), None, "human"),
    ("null sender", mail(), "<>", "auto_reply"),
    ("null return path", mail(return_path=""), None, "auto_reply"),
    ("an envelope goes before a return path", mail(return_path=""), "a@b", "human"),
    ("auto-replied", signal("auto-submitted", "auto-replied; x"), None, "auto_reply"),
    (
        "auto-replied by a list",
        mail(signals=(("auto-submitted", "auto-replied"), ("list-id", "x"))),
        None,
        "auto_reply",
    ),
    ("auto-generated", signal("auto-submitted", "auto-generated (x)"), None, "auto_reply"),
    (
        "auto-replied in many words",
        mail(signals=(("auto-submitted", "auto-replied (x); y"), ("list-id", "x"))),
        None,
        "auto_reply",
    ),
    ("a person, by none", signal("auto-submitted", "none"), None, "human"),
    ("a person, by false", signal("auto-submitted", "false"), None, "human"),
    ("a person, by nought", signal("auto-submitted", "0"), None, "human"),
    ("a person, in many words", signal("auto-submitted", "no (x)"), None, "human"),
    ("a list, in many words", signal("precedence", "list; x"), None, "list"),
    ("a list", signal("list-id", "<x>"), None, "list"),
    ("a list by precedence", signal("precedence", "list"), None, "list"),
    ("bulk", signal("precedence", "bulk"), None, "auto_reply"),
    ("junk", signal("precedence", "junk"), None, "auto_reply"),
    ("auto_reply", signal("precedence", "auto_reply"), None, "auto_reply"),
    ("auto-reply", signal("precedence", "auto-reply"), None, "auto_reply"),
    ("first class", signal("precedence", "first-class"), None, "human"),
    ("a loop of somebody's", signal("x-loop", "a@b"), None, "auto_reply"),
    ("ours by id", mail(message_id="x@Desk.example"), None, "own_loop"),
    ("ours by loop", signal("x-loop", "x <y@desk.example>,"), None, "own_loop"),
    ("a bounce", mail(report_type="delivery-status"), None, "bounce"),
    ("a read receipt", mail(report_type="disposition-notification"), None, "auto_reply"),
    ("failed recipients", signal("x-failed-recipients", "a@b"), None, "bounce"),
    ("the daemon", mail(from_address="mailer-daemon@x"), "a@b", "bounce"),
    ("a postmaster who writes", mail(from_address="postmaster@x"), "a@b", "human"),
    ("a postmaster of nobody", mail(from_address="postmaster@x"), "", "bounce"),
    (
        "a postmaster who says so",
        mail(from_address="postmaster@x", subject="Undelivered mail"),
        "a@b",
        "bounce",
    ),
    ("nobody who says so", mail(subject="Письмо не доставлено"), "", "bounce"),
    ("somebody who says so", mail(subject="Письмо не доставлено"), "a@b", "human"),
    ("no reply", mail(from_address="no-reply@x"), None, "auto_reply"),
    ("no reply, numbered", mail(from_address="noreply+7@x"), None, "auto_reply"),
    ("no reply, twice", mail(from_address="donotreply@x", reply_to="noreply@x"), None, "auto_reply"),
    ("a form by no reply", mail(from_address="no_reply@x", reply_to="ann@x"), None, "human"),
    ("who has a name like it", mail(from_address="noreplyann@x"), None, "human"),
    ("away, and it answers", mail(subject="Автоответ: в отпуске", in_reply_to="a@b"), None, "auto_reply"),
    (
        "away, by Outlook",
        signal("x-auto-response-suppress", "all", subject="Out of office"),
        None,
        "auto_reply",
    ),
    ("away, by Exchange", signal("x-ms-exchange-inbox-rules-loop", "x", subject="OOO"), None, "auto_reply"),
    ("about being away", mail(subject="Out of office"), None, "human"),
    ("an answer about it", mail(subject="Re: out of office", in_reply_to="a@b"), None, "human"),
    ("a vacation", signal("x-vacation", "yes"), None, "auto_reply"),
    ("no vacation", signal("x-vacation", "no"), None, "human"),
]


@pytest.mark.parametrize(
    ("found", "envelope", "kind"), [row[1:] for row in CLASSES], ids=[row[0] for row in CLASSES]
)
def test_who_wrote_it(found: ParsedMail, envelope: str | None, kind: str) -> None:
    assert classify(found, frozenset({"DESK.example"}), envelope) == kind


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ("all", True),
        ("dr, oof", True),
        ("dr,oof", True),
        ("AutoReply".lower(), True),
        ("none", False),
        ("", False),
        ("allx", False),
    ],
)
def test_who_asks_for_silence(value: str, asked: bool) -> None:
    assert suppress_auto_reply(signal("x-auto-response-suppress", value)) is asked
    assert not suppress_auto_reply(mail())


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Auto-Submitted: auto-replied", "auto_reply"),
        ("Precedence: bulk", "auto_reply"),
        ("X-Loop: a@b.c", "auto_reply"),
        ("List-Id: <x>", "list"),
        ("List-Unsubscribe: <mailto:a@b.c>", "list"),
        ("List-Post: <mailto:a@b.c>", "list"),
        ("List-Help: <mailto:a@b.c>", "list"),
        ("List-Subscribe: <mailto:a@b.c>", "list"),
        ("List-Owner: <mailto:a@b.c>", "list"),
        ("List-Archive: <https://b.c>", "list"),
        ("X-Autoreply: yes", "auto_reply"),
        ("X-Autorespond: yes", "auto_reply"),
        ("X-Auto-Reply: yes", "auto_reply"),
        ("X-Autoresponder: yes", "auto_reply"),
        ("X-Mail-Autoreply: yes", "auto_reply"),
        ("X-Autoreply-From: a@b.c", "auto_reply"),
        ("X-Autogenerated: yes", "auto_reply"),
        ("X-Vacation: yes", "auto_reply"),
        ("X-Failed-Recipients: a@b.c", "bounce"),
        ("X-Auto-Response-Suppress: All\nSubject: Out of office", "auto_reply"),
        ("X-MS-Exchange-Inbox-Rules-Loop: a@b.c\nSubject: Out of office", "auto_reply"),
        ("X-Order: 7\nSubject: Out of office", "human"),
    ],
)
def test_a_header_tells_who_wrote_a_mail(header: str, kind: str) -> None:
    read = parse_mail(f"From: ann@client.example\n{header}\n\nText\n".encode(), MailLimits())
    assert classify(read, frozenset(), None) == kind


def test_words_of_the_wire_are_the_released_ones() -> None:
    assert [one.value for one in Classification] == ["human", "auto_reply", "list", "bounce", "own_loop"]
    assert [one.value for one in Problem] == [
        "oversize",
        "too_many_parts",
        "too_deep",
        "unparseable",
        "malformed_structure",
        "headers_truncated",
        "duplicate_header",
        "charset_guessed",
        "charset_replaced",
        "encoding_broken",
        "text_truncated",
        "attachment_dropped",
        "no_sender",
    ]


# Whole mails


def test_an_empty_mail_has_nothing_but_problems() -> None:
    assert ParsedMail() == parse_mail(b"From: a@b.c\n\n", MailLimits()).__class__()
    empty = parse_mail(b"", MailLimits())
    unset = {one.name: one.default for one in fields(ParsedMail)}
    assert {name: getattr(empty, name) for name in unset if name != "problems"} == {
        name: value for name, value in unset.items() if name != "problems"
    }
    assert empty.problems == {Problem.NO_SENDER}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", None),
        ("123 — …", None),
        ("Hello", "en"),
        ("Привет", "ru"),
        ("да", "ru"),
        ("a" * 3 + "я", "ru"),
        ("a" * 4 + "я", "en"),
        ("\ud800", None),
        ("a" * 4_000 + "я" * 9_000, "en"),
    ],
)
def test_a_language_is_told_by_its_letters(text: str, language: str | None) -> None:
    assert guess_language(text) == language


WHOLE = b"""Return-Path: <Bounce@Client.example>
Delivered-To: help+T@brand.example
X-Original-To: <help@brand.example>
From: "Smith, Ann" <Ann@Client.example>
To: help@brand.example, Help <HELP@brand.example>, x@y.example
Cc: z@y.example
Reply-To: other@client.example, second@client.example
Message-ID: < 1 @client.example>
In-Reply-To: <0@desk.example> <9@desk.example>
References: <a@x> <0@desk.example>
Subject: =?utf-8?q?Hello?=
\tworld
Date: Mon, 15 Jan 2024 10:00:00 +0300
Auto-Submitted: NO
List-Id: <L>

Text
"""


def test_a_whole_mail() -> None:
    assert parse_mail(WHOLE, MailLimits()) == ParsedMail(
        message_id="1@client.example",
        in_reply_to="0@desk.example",
        references=("a@x", "0@desk.example"),
        from_address="ann@client.example",
        from_name="Smith, Ann",
        to=("help@brand.example", "x@y.example"),
        cc=("z@y.example",),
        reply_to="other@client.example",
        delivered_to=("help+t@brand.example", "help@brand.example"),
        return_path="bounce@client.example",
        subject="Hello world",
        date_header="Mon, 15 Jan 2024 10:00:00 +0300",
        text="Text",
        reply="Text",
        html=False,
        html_source="",
        language="en",
        attachments=(),
        report_type=None,
        delivery_statuses=(),
        bounced_message_ids=(),
        signals=(("auto-submitted", "no"), ("list-id", "<l>")),
        problems=frozenset(),
    )


def test_a_mail_that_is_too_large_is_read_by_its_headers() -> None:
    read = parse_mail(WHOLE, MailLimits(raw_bytes=len(WHOLE) - 1))
    assert (read.text, read.subject, read.from_address) == ("", "Hello world", "ann@client.example")
    assert (read.reply, read.html, read.html_source, read.attachments) == ("", False, "", ())
    assert read.problems == {Problem.OVERSIZE}
    assert parse_mail(WHOLE, MailLimits(raw_bytes=len(WHOLE))).problems == frozenset()
    long = b"X: " + b"y" * 70_000 + b"\n" + WHOLE
    assert parse_mail(long, MailLimits(raw_bytes=9)).problems == {Problem.OVERSIZE, Problem.HEADERS_TRUNCATED}


def test_the_first_and_the_last_references_are_kept() -> None:
    named = " ".join(f"<{number}@x>" for number in range(9))
    raw = f"From: a@b.c\nReferences: {named}\n\n".encode()
    assert parse_mail(raw, MailLimits(references=9)).references == tuple(f"{n}@x" for n in range(9))
    kept = parse_mail(raw, MailLimits(references=5)).references
    assert kept == ("0@x", "1@x", "6@x", "7@x", "8@x")


def test_what_is_there_twice_is_a_problem() -> None:
    assert parse_mail(b"Subject: x\n" + WHOLE, MailLimits()).problems == {Problem.DUPLICATE_HEADER}
    assert parse_mail(b"X-Any: x\nX-Any: y\n" + WHOLE, MailLimits()).problems == frozenset()
    assert parse_mail(b"From: Ann <>\n\n", MailLimits()).from_name == "Ann"


@pytest.mark.parametrize(
    "name",
    [
        "From",
        "Subject",
        "Message-ID",
        "In-Reply-To",
        "References",
        "To",
        "Cc",
        "Reply-To",
        "Date",
        "Content-Type",
    ],
)
def test_what_may_be_there_once_is_a_problem_when_it_is_there_twice(name: str) -> None:
    once = f"From: a@b.c\n{name}: x\n" if name != "From" else "From: a@b.c\n"
    assert parse_mail(f"{once}\n".encode(), MailLimits()).problems == frozenset()
    twice = parse_mail(f"{once}{name}: x\n\n".encode(), MailLimits())
    assert twice.problems == {Problem.DUPLICATE_HEADER}


LIMITS = MailLimits()
PARTS = (
    b"--X\r\nContent-Type: text/plain\r\n\r\nplain\r\n"
    b"--X\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--X--\r\n"
)
MIXED = b"From: a@b.c\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n" + PARTS
NESTED = (
    b"From: a@b.c\r\nContent-Type: multipart/mixed; boundary=Y\r\n\r\n"
    b"--Y\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n" + PARTS + b"--Y--\r\n"
)


@pytest.mark.parametrize(
    ("raw", "limits", "problems"),
    [
        (MIXED, {"attachments": 1}, set()),
        (MIXED, {"attachments": 0}, {Problem.ATTACHMENT_DROPPED}),
        (MIXED, {"attachments_bytes": 4}, set()),
        (MIXED, {"attachments_bytes": 3}, {Problem.ATTACHMENT_DROPPED}),
        (MIXED, {"text_chars": 5}, set()),
        (MIXED, {"text_chars": 4}, {Problem.TEXT_TRUNCATED}),
        (MIXED, {"parts": 3}, set()),
        (MIXED, {"parts": 2}, {Problem.TOO_MANY_PARTS}),
        (NESTED, {"depth": 2}, set()),
        (NESTED, {"depth": 1}, {Problem.TOO_DEEP}),
        (NESTED, {"parts": 4}, set()),
        (NESTED, {"parts": 3}, {Problem.TOO_MANY_PARTS}),
    ],
)
def test_limits_are_kept_and_told(raw: bytes, limits: dict[str, int], problems: set[Problem]) -> None:
    read = parse_mail(raw, replace(LIMITS, **limits))
    assert read.problems == problems
    kept = read.attachments if Problem.ATTACHMENT_DROPPED in problems else ()
    assert kept == ()
    if "text_chars" in limits:
        assert read.text == "plain"[: limits["text_chars"]]
