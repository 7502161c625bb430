"""Whole bodies: which part is text and which a file, what is read of each, and what was wrong with it."""

import base64
import hashlib
from typing import Any

import pytest

from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import ParsedMail, parse_mail

pytestmark = pytest.mark.unit


def part(media_type: bytes, content: bytes, *headers: bytes) -> bytes:
    """A part of a mail, or what follows its headers."""
    return b"".join(line + b"\r\n" for line in (b"Content-Type: " + media_type, *headers)) + b"\r\n" + content


def multi(
    kind: bytes, *parts: bytes, boundary: bytes = b"X", preamble: bytes = b"", closed: bool = True
) -> bytes:
    """Parts between boundaries."""
    head = b"Content-Type: multipart/" + kind + b"; boundary=" + boundary + b"\r\n\r\n" + preamble
    body = b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts)
    return head + body + (b"--" + boundary + b"--\r\n" if closed else b"")


HEAD = b"From: a@b.c\r\nSubject: s\r\n"
PLAIN, PAGE = part(b"text/plain", b"plain"), part(b"text/html", b"<p>page</p>")

STATUS = (
    b"Reporting-MTA: dns; x\r\n\r\n"
    b"Final-Recipient: rfc822; Ann@C.d\r\nAction: Failed\r\nStatus: 5.1.1\r\n\r\n"
    b"Original-Recipient: rfc822;bob@c.d\r\nAction: delayed\r\nStatus: 4.0.0\r\n"
)

# The mail, and what it says; what is not named is empty, and the reply is the text.
MAILS: list[tuple[str, bytes, dict[str, Any]]] = [
    (
        "plain",
        HEAD + b"\r\nHello\r\nworld\r\n",
        {"text": "Hello\nworld"},
    ),
    (
        "flowed",
        HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\na \r\nb\r\n",
        {"text": "a b"},
    ),
    (
        "flowed with deleted blanks",
        HEAD + b"Content-Type: text/plain; format=Flowed; delsp=Yes\r\n\r\na \r\nb\r\n",
        {"text": "ab"},
    ),
    (
        "not flowed",
        HEAD + b"Content-Type: text/plain; format=fixed\r\n\r\na \r\nb\r\n",
        {"text": "a \nb"},
    ),
    (
        "alternative",
        HEAD + multi(b"alternative", PLAIN, PAGE),
        {"text": "plain", "html_source": "<p>page</p>"},
    ),
    (
        "html alone",
        HEAD + PAGE,
        {"text": "page", "html": True, "html_source": "<p>page</p>"},
    ),
    (
        "html with a charset of its own",
        HEAD + b"Content-Type: text/html\r\n\r\n<meta charset=windows-1251><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>",
        {"text": "Привет", "html": True, "html_source": "<meta charset=windows-1251><p>Привет</p>"},
    ),
    (
        "html with a declared charset",
        HEAD
        + part(b"text/html; charset=koi8-r", b"<meta charset=windows-1251><p>\xf0\xd2\xc9\xd7\xc5\xd4</p>"),
        {"text": "Привет", "html": True, "html_source": "<meta charset=windows-1251><p>Привет</p>"},
    ),
    (
        "html alternative with empty text",
        HEAD + multi(b"alternative", part(b"text/plain", b"  "), PAGE),
        {"text": "page", "html": True, "html_source": "<p>page</p>"},
    ),
    (
        "two texts",
        HEAD + multi(b"mixed", PLAIN, part(b"text/plain", b"second")),
        {"text": "plain\n\nsecond"},
    ),
    (
        "two texts in an alternative",
        HEAD + multi(b"alternative", PLAIN, part(b"text/plain", b"second"), PAGE),
        {"text": "plain\nsecond", "html_source": "<p>page</p>"},
    ),
    (
        "a text and a page",
        HEAD + multi(b"mixed", PLAIN, PAGE),
        {"text": "plain\n\npage", "html": True, "html_source": "<p>page</p>"},
    ),
    (
        "shadow",
        HEAD + multi(b"alternative", PLAIN, part(b"text/x-amp-html", b"amp")),
        {"text": "plain"},
    ),
    (
        "shadow outside",
        HEAD + multi(b"mixed", PLAIN, part(b"text/x-amp-html", b"amp")),
        {"text": "plain", "attachments": [("attachment", "text/x-amp-html", b"amp", False, None)]},
    ),
    (
        "attachment",
        HEAD
        + multi(
            b"mixed",
            PLAIN,
            part(
                b"application/pdf",
                base64.b64encode(b"%PDF"),
                b'Content-Disposition: attachment; filename="a.pdf"',
                b"Content-Transfer-Encoding: base64",
            ),
        ),
        {"text": "plain", "attachments": [("a.pdf", "application/pdf", b"%PDF", False, None)]},
    ),
    (
        "named by type",
        HEAD + multi(b"mixed", PLAIN, part(b'application/pdf; name="b.pdf"', b"x")),
        {"text": "plain", "attachments": [("b.pdf", "application/pdf", b"x", False, None)]},
    ),
    (
        "attached text",
        HEAD
        + multi(
            b"mixed", PLAIN, part(b"text/plain", b"log", b"Content-Disposition: attachment; filename=log.txt")
        ),
        {"text": "plain", "attachments": [("log.txt", "text/plain", b"log", False, None)]},
    ),
    (
        "named text",
        HEAD + multi(b"mixed", PLAIN, part(b"text/plain; name=log.txt", b"log")),
        {"text": "plain", "attachments": [("log.txt", "text/plain", b"log", False, None)]},
    ),
    (
        "named text alone",
        HEAD + b"Content-Type: text/plain; name=log.txt\r\n\r\nlog",
        {"text": "log"},
    ),
    (
        "inline by disposition",
        HEAD
        + multi(b"mixed", PLAIN, part(b"image/png", b"x", b"Content-Disposition: inline; filename=i.png")),
        {"text": "plain", "attachments": [("i.png", "image/png", b"x", True, None)]},
    ),
    (
        "inline by relation",
        HEAD + multi(b"related", PAGE, part(b"image/png", b"x", b"Content-ID: <i@x>")),
        {
            "text": "page",
            "html": True,
            "html_source": "<p>page</p>",
            "attachments": [("attachment.png", "image/png", b"x", True, "i@x")],
        },
    ),
    (
        "id without relation",
        HEAD + multi(b"mixed", PLAIN, part(b"image/png", b"x", b"Content-ID: <i@x>")),
        {"text": "plain", "attachments": [("attachment.png", "image/png", b"x", False, "i@x")]},
    ),
    (
        "relation without id",
        HEAD + multi(b"related", PAGE, part(b"image/png", b"x")),
        {
            "text": "page",
            "html": True,
            "html_source": "<p>page</p>",
            "attachments": [("attachment.png", "image/png", b"x", False, None)],
        },
    ),
    (
        "empty and nameless",
        HEAD + multi(b"mixed", PLAIN, part(b"image/png", b"")),
        {"text": "plain"},
    ),
    (
        "empty and named",
        HEAD + multi(b"mixed", PLAIN, part(b"image/png; name=e.png", b"")),
        {"text": "plain", "attachments": [("e.png", "image/png", b"", False, None)]},
    ),
    (
        "broken base64",
        HEAD + multi(b"mixed", PLAIN, part(b"image/png", b"!!!", b"Content-Transfer-Encoding: base64")),
        {"text": "plain", "problems": ["encoding_broken"]},
    ),
    (
        "broken text",
        HEAD + b"Content-Transfer-Encoding: odd\r\n\r\ntext",
        {"text": "text", "problems": ["encoding_broken"]},
    ),
    (
        "guessed",
        HEAD + b"\r\n\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0",
        {"text": "Привет, мир", "problems": ["charset_guessed"]},
    ),
    (
        "replaced",
        HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n\x81\x82\x83\x84",
        {"text": "����", "problems": ["charset_replaced"]},
    ),
    (
        "quoted",
        HEAD + b"\r\nYes.\r\n\r\n> Is it?\r\n> Really?\r\n",
        {"text": "Yes.\n\n> Is it?\n> Really?", "reply": "Yes."},
    ),
    (
        "quoted in the page only",
        HEAD
        + multi(
            b"alternative",
            part(b"text/plain", b"Yes.\r\nIs it?"),
            part(b"text/html", b"<p>Yes.</p><blockquote>Is it?</blockquote>"),
        ),
        {
            "text": "Yes.\nIs it?",
            "reply": "Yes.",
            "html_source": "<p>Yes.</p><blockquote>Is it?</blockquote>",
        },
    ),
    (
        "separators and controls",
        HEAD
        + b"Content-Type: text/plain; charset=utf-8\r\n\r\na\xe2\x80\xa8b\xe2\x80\xa9c\rd\x07\xe2\x80\x8be",
        {"text": "a\nb\nc\nde"},
    ),
    (
        "nested",
        HEAD + multi(b"mixed", multi(b"alternative", PLAIN, PAGE, boundary=b"Y"), part(b"image/png", b"x")),
        {
            "text": "plain",
            "html_source": "<p>page</p>",
            "attachments": [("attachment.png", "image/png", b"x", False, None)],
        },
    ),
    (
        "no boundary",
        HEAD + b"Content-Type: multipart/mixed\r\n\r\ntext",
        {"text": "text", "problems": ["malformed_structure"]},
    ),
    (
        "a boundary that never comes",
        HEAD + b"Content-Type: multipart/mixed; boundary=Q\r\n\r\ntext",
        {"text": "text", "problems": ["malformed_structure"]},
    ),
    (
        "never closed",
        HEAD + multi(b"mixed", PLAIN, closed=False),
        {"text": "plain"},
    ),
    (
        "preamble and epilogue",
        HEAD + multi(b"mixed", PLAIN, preamble=b"pre\r\n") + b"after",
        {"text": "plain"},
    ),
    (
        "digest",
        HEAD + multi(b"digest", b"\r\nSubject: inner\r\n\r\nbody"),
        {"attachments": [("attachment.eml", "message/rfc822", b"Subject: inner\r\n\r\nbody", False, None)]},
    ),
    (
        "odd type",
        HEAD + b"Content-Type: text\r\n\r\ntext",
        {"text": "text"},
    ),
    (
        "no type",
        HEAD + b"Content-Type: ;;;\r\n\r\ntext",
        {"text": "text"},
    ),
    (
        "forwarded",
        HEAD + multi(b"mixed", PLAIN, part(b"message/rfc822", b"Subject: inner\r\n\r\nbody")),
        {
            "text": "plain",
            "attachments": [("attachment.eml", "message/rfc822", b"Subject: inner\r\n\r\nbody", False, None)],
        },
    ),
    (
        "a dash line that is no boundary",
        HEAD + multi(b"mixed", part(b"text/plain", b"a\r\n--X and more\r\nb")),
        {"text": "a\n--X and more\nb"},
    ),
    (
        "boundary with blanks",
        HEAD + multi(b"mixed", PLAIN).replace(b"--X--", b"--X  --").replace(b"--X\r\n", b"--X \t\r\n"),
        {"text": "plain"},
    ),
    (
        "report",
        b"From: mailer-daemon@x.y\r\nSubject: failed\r\n"
        + multi(
            b'report; report-type="Delivery-Status"',
            PLAIN,
            part(
                b"message/delivery-status",
                STATUS,
            ),
            part(b"text/rfc822-headers", b"Message-ID: <1@us>\r\nSubject: x\r\n"),
        ),
        {
            "text": "plain",
            "report_type": "delivery-status",
            "bounced_message_ids": ("1@us",),
            "attachments": [
                (
                    "attachment.txt",
                    "message/delivery-status",
                    STATUS,
                    False,
                    None,
                ),
                (
                    "attachment.txt",
                    "text/rfc822-headers",
                    b"Message-ID: <1@us>\r\nSubject: x\r\n",
                    False,
                    None,
                ),
            ],
            "delivery_statuses": [("ann@c.d", "failed", "5.1.1"), ("bob@c.d", "delayed", "4.0.0")],
        },
    ),
    (
        "report by its text",
        b"From: postmaster@x.y\r\n\r\nIt failed.\r\n> Message-ID: <2@us>\r\nmessage-id: <3@us>\r\n",
        {
            "text": "It failed.\n> Message-ID: <2@us>\nmessage-id: <3@us>",
            "reply": "It failed.\nmessage-id: <3@us>",
            "bounced_message_ids": ("2@us", "3@us"),
        },
    ),
    (
        "not a report",
        b"From: ann@x.y\r\n\r\nMessage-ID: <2@us>\r\n",
        {"text": "Message-ID: <2@us>"},
    ),
    (
        "original id",
        b"From: a@x.y\r\n"
        + multi(
            b"report; report-type=disposition-notification",
            PLAIN,
            part(b"message/disposition-notification", b"Original-Message-ID: <4@us>\r\nDisposition: x\r\n"),
        ),
        {
            "text": "plain",
            "report_type": "disposition-notification",
            "bounced_message_ids": ("4@us",),
            "attachments": [
                (
                    "attachment",
                    "message/disposition-notification",
                    b"Original-Message-ID: <4@us>\r\nDisposition: x\r\n",
                    False,
                    None,
                )
            ],
        },
    ),
]


def said(mail: ParsedMail) -> dict[str, Any]:
    """What a mail says, without what is empty."""
    names = ("text", "reply", "html", "html_source", "report_type", "bounced_message_ids")
    found: dict[str, Any] = {name: getattr(mail, name) for name in names}
    if mail.reply == mail.text:
        del found["reply"]
    found["attachments"] = [
        (one.filename, one.media_type, one.content, one.inline, one.content_id) for one in mail.attachments
    ]
    found["delivery_statuses"] = [(one.recipient, one.action, one.status) for one in mail.delivery_statuses]
    found["problems"] = sorted(problem.value for problem in mail.problems)
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize(("raw", "expected"), [row[1:] for row in MAILS], ids=[row[0] for row in MAILS])
def test_what_a_mail_says(raw: bytes, expected: dict[str, Any]) -> None:
    mail = parse_mail(raw, MailLimits())
    assert said(mail) == expected
    for one in mail.attachments:
        assert one.sha256 == hashlib.sha256(one.content).hexdigest()


def test_only_line_feeds_may_end_lines_too() -> None:
    for name, raw, expected in MAILS:
        if "attachments" not in expected and name != "separators and controls":
            assert said(parse_mail(raw.replace(b"\r\n", b"\n"), MailLimits())) == expected
