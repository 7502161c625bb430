"""Who wrote a mail, by the signs that RFC 3834 and mail servers in the wild give."""

import pytest

from deskline_intake.domain.classify import Classification, classify, suppress_auto_reply
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import ParsedMail, parse_mail

pytestmark = pytest.mark.unit

OWN = frozenset({"deskline.example.ru"})
HUMAN, AUTO, LIST, BOUNCE, OWN_LOOP = (
    Classification.HUMAN,
    Classification.AUTO_REPLY,
    Classification.LIST,
    Classification.BOUNCE,
    Classification.OWN_LOOP,
)


def mail(*headers: str, sender: str = "ivan@zavod.ru", body: str = "Здравствуйте!") -> ParsedMail:
    lines = [f"From: {sender}", "Message-ID: <1@zavod.ru>", "Content-Type: text/plain; charset=utf-8"]
    # A header given by the test replaces the usual one.
    given = {header.partition(":")[0].lower() for header in headers}
    lines = [line for line in lines if line.partition(":")[0].lower() not in given]
    return parse_mail("\r\n".join([*headers, *lines, "", body]).encode(), MailLimits())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], HUMAN),
        (["Auto-Submitted: no"], HUMAN),
        (["Auto-Submitted: auto-replied"], AUTO),
        (["Auto-Submitted: auto-generated; owner-email=x@y.ru"], AUTO),
        (["Auto-Submitted: auto-generated (failure)"], AUTO),
        (["Auto-Submitted: something-new"], AUTO),
        (["Precedence: bulk"], AUTO),
        (["Precedence: auto_reply"], AUTO),
        (["Precedence: first-class"], HUMAN),
        (["Precedence: list"], LIST),
        (["List-Id: <dev.lists.example.org>"], LIST),
        (["List-Unsubscribe: <mailto:u@example.org>"], LIST),
        (["List-Id: <dev.lists.example.org>", "Auto-Submitted: auto-replied"], AUTO),
        (["List-Id: <alerts.example.org>", "Auto-Submitted: auto-generated"], LIST),
        (["X-Autoreply: yes"], AUTO),
        (["X-Autorespond: Re: заявка"], AUTO),
        (["X-Autoreply: no"], HUMAN),
        (["X-Auto-Response-Suppress: All"], HUMAN),
        (["Return-Path: <>"], AUTO),
        (["Return-Path: <ivan@zavod.ru>"], HUMAN),
        (["X-Loop: robot@other.org"], AUTO),
        (["X-Loop: support@deskline.example.ru"], OWN_LOOP),
        (["Message-ID: <abc@deskline.example.ru>"], OWN_LOOP),
        (["Message-ID: <abc@DESKLINE.example.ru>", "Auto-Submitted: auto-replied"], OWN_LOOP),
        (["Message-ID: <abc@notdeskline.example.ru>"], HUMAN),
        (["In-Reply-To: <abc@deskline.example.ru>"], HUMAN),
        (["Subject: Автоответ: я в отпуске"], HUMAN),
        (["Subject: Автоответ: я в отпуске", "In-Reply-To: <a@b>"], AUTO),
        (["Subject: Out of Office: back on Monday", "X-Auto-Response-Suppress: All"], AUTO),
        (["Subject: Re: Автоответ: я в отпуске", "In-Reply-To: <a@b>"], HUMAN),
        (["X-Failed-Recipients: petr@example.ru"], BOUNCE),
        (["Subject: Undelivered Mail Returned to Sender", "Return-Path: <>"], BOUNCE),
        (["Subject: Письмо не доставлено", "Return-Path: <>"], BOUNCE),
        (["Subject: Письмо не доставлено"], HUMAN),
    ],
)
def test_a_mail_is_classified_by_its_headers(headers: list[str], expected: Classification) -> None:
    assert classify(mail(*headers), OWN, None) is expected


@pytest.mark.parametrize(
    ("sender", "headers", "envelope_from", "expected"),
    [
        ("MAILER-DAEMON@mx.example.ru", [], None, BOUNCE),
        ("postmaster@example.ru", [], None, HUMAN),
        ("postmaster@example.ru", [], "", BOUNCE),
        ("postmaster@example.ru", ["Subject: Delivery Status Notification (Failure)"], None, BOUNCE),
        ("noreply@shop.ru", [], None, AUTO),
        ("no-reply-billing@shop.ru", [], None, AUTO),
        ("do_not_reply@shop.ru", [], None, AUTO),
        ("noreply@shop.ru", ["Reply-To: anna@mail.ru"], None, HUMAN),
        ("noreply@shop.ru", ["Reply-To: no-reply@shop.ru"], None, AUTO),
        ("norma@shop.ru", [], None, HUMAN),
        ("ivan@zavod.ru", [], "", AUTO),
        ("ivan@zavod.ru", [], "<>", AUTO),
        ("ivan@zavod.ru", [], "ivan@zavod.ru", HUMAN),
        ("ivan@zavod.ru", ["Return-Path: <>"], "ivan@zavod.ru", HUMAN),
    ],
)
def test_the_sender_counts_together_with_the_envelope(
    sender: str, headers: list[str], envelope_from: str | None, expected: Classification
) -> None:
    assert classify(mail(*headers, sender=sender), OWN, envelope_from) is expected


def test_asking_for_no_automatic_answer_makes_nobody_automatic() -> None:
    asking = mail("X-Auto-Response-Suppress: DR, OOF, AutoReply")

    assert suppress_auto_reply(asking)
    assert classify(asking, OWN, None) is HUMAN
    assert not suppress_auto_reply(mail("X-Auto-Response-Suppress: DR"))
    assert not suppress_auto_reply(mail())


REPORT = """\
From: Mail Delivery System <postmaster@mx.example.ru>
To: support@example.ru
Subject: =?utf-8?B?0J3QtSDQtNC+0YHRgtCw0LLQu9C10L3Qvg==?=
Content-Type: multipart/report; report-type={kind}; boundary=R

--R
Content-Type: text/plain; charset=utf-8

Письмо не доставлено.
--R
Content-Type: message/{kind}

Reporting-MTA: dns; mx.example.ru
Original-Message-ID: <reply-7@deskline.example.ru>

Final-Recipient: rfc822; Anna@Mail.ru
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; oleg@mail.ru
Action: delayed
Status: 4.4.7
--R
Content-Type: {embedded}

Message-ID: <reply-7@deskline.example.ru>
Subject: Re: x

text
--R--
"""


@pytest.mark.parametrize("embedded", ["message/rfc822", "text/rfc822-headers"])
def test_a_delivery_report_is_a_bounce_that_names_the_mail_and_the_recipients(embedded: str) -> None:
    raw = REPORT.format(kind="delivery-status", embedded=embedded).encode()

    parsed = parse_mail(raw, MailLimits())

    assert classify(parsed, OWN, "") is BOUNCE
    assert parsed.bounced_message_ids == ("reply-7@deskline.example.ru",)
    assert [(s.recipient, s.action, s.status) for s in parsed.delivery_statuses] == [
        ("anna@mail.ru", "failed", "5.1.1"),
        ("oleg@mail.ru", "delayed", "4.4.7"),
    ]


def test_a_read_receipt_is_automatic_and_no_bounce() -> None:
    raw = REPORT.format(kind="disposition-notification", embedded="text/rfc822-headers").encode()

    parsed = parse_mail(raw, MailLimits())

    assert classify(parsed, OWN, None) is AUTO
    assert parsed.bounced_message_ids == ("reply-7@deskline.example.ru",)


def test_a_bounce_without_a_report_names_the_mail_that_its_text_quotes() -> None:
    text = "I wasn't able to deliver.\n\n--- Below is a copy.\n\nMessage-ID: <reply-8@deskline.example.ru>\n"

    parsed = mail(sender="MAILER-DAEMON@mx.example.ru", body=text)

    assert parsed.bounced_message_ids == ("reply-8@deskline.example.ru",)


def test_a_person_who_forwards_a_mail_as_attachment_reports_nothing() -> None:
    raw = REPORT.format(kind="delivery-status", embedded="message/rfc822").replace(
        "multipart/report", "multipart/mixed"
    )

    parsed = parse_mail(raw.replace("postmaster@mx", "ivan@mx").encode(), MailLimits())

    assert parsed.bounced_message_ids == ()
    assert classify(parsed, OWN, None) is HUMAN
