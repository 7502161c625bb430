"""Given mails of several parts, then which texts stand together, which are files, and how many fit."""

from typing import Any

import pytest

from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import ParsedMail, parse_mail
from deskline_intake.domain.problems import Problem

pytestmark = pytest.mark.unit

HEAD = b"From: a@b.c\r\nSubject: s\r\n"


def part(media_type: bytes, content: bytes, *headers: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in (b"Content-Type: " + media_type, *headers)) + b"\r\n" + content


def multi(kind: bytes, boundary: bytes, *parts: bytes, closed: bool = True) -> bytes:
    head = b"Content-Type: multipart/" + kind + b"; boundary=" + boundary + b"\r\n\r\n"
    body = b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts)
    return head + body + (b"--" + boundary + b"--\r\n" if closed else b"")


def plain(text: bytes) -> bytes:
    return part(b"text/plain", text)


def page(text: bytes) -> bytes:
    return part(b"text/html", b"<p>" + text + b"</p>")


def mail(content: bytes, **limits: Any) -> ParsedMail:
    return parse_mail(HEAD + content, MailLimits(**limits))


def files(found: ParsedMail) -> list[tuple[str, bytes, bool, str | None]]:
    return [(one.filename, one.content, one.inline, one.content_id) for one in found.attachments]


# Texts


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (multi(b"mixed", b"X", plain(b"a"), plain(b"b")), "a\n\nb"),
        (multi(b"alternative", b"X", plain(b"a"), plain(b"b")), "a\nb"),
        (multi(b"alternative", b"X", plain(b" "), page(b"b")), "b"),
        (multi(b"alternative", b"X", page(b"a"), page(b"b")), "a\nb"),
        # A text after an alternative is none of its ways, whatever its number.
        (
            multi(
                b"mixed",
                b"X",
                plain(b"a"),
                multi(b"alternative", b"Y", plain(b"b"), page(b"b")),
                plain(b"c"),
                plain(b"d"),
            ),
            "a\n\nb\n\nc\n\nd",
        ),
        # The outer boundary ends what is inside it, closed or not.
        (
            multi(
                b"mixed",
                b"X",
                multi(b"alternative", b"Y", plain(b"a"), page(b"a"), closed=False),
                plain(b"b"),
                plain(b"c"),
            ),
            "a\n\nb\n\nc",
        ),
        # An alternative within an alternative is of the outer one.
        (
            multi(
                b"alternative",
                b"X",
                plain(b"a"),
                multi(b"related", b"Y", multi(b"alternative", b"Z", page(b"b"))),
            ),
            "a",
        ),
    ],
)
def test_texts_stand_together_as_they_were_sent(content: bytes, text: str) -> None:
    assert mail(content).text == text


def test_html_says_its_character_set_itself_where_the_header_does_not() -> None:
    said = (
        b'<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>\xcf\xf0\xe8\xe2</p>'
    )
    found = mail(part(b"text/html", said))
    assert (found.text, found.problems) == ("Прив", frozenset())
    declared = mail(part(b"text/html; charset=koi8-r", said))
    assert declared.text == b"\xcf\xf0\xe8\xe2".decode("koi8-r")
    text = mail(part(b"text/plain", said))
    assert Problem.CHARSET_GUESSED in text.problems


def test_what_no_character_set_reads_is_told() -> None:
    found = mail(plain("Größe über Straße".encode("latin-1")))
    assert found.problems == {Problem.CHARSET_REPLACED}


# Files


def test_a_file_is_named_where_either_header_names_it() -> None:
    by_type = part(b"text/plain; name=a.txt", b"1")
    by_disposition = part(b"text/plain; name=a.txt", b"2", b"Content-Disposition: inline; filename=b.txt")
    assert files(mail(multi(b"mixed", b"X", plain(b"t"), by_type, by_disposition))) == [
        ("a.txt", b"1", False, None),
        ("b.txt", b"2", True, None),
    ]


def test_a_picture_belongs_to_the_page_that_it_came_with_if_it_can_be_named_there() -> None:
    named = part(b"image/png; name=a.png", b"1", b"Content-ID: <Xa@bX>")
    nameless = part(b"image/png; name=b.png", b"2")
    shown = files(mail(multi(b"related", b"X", page(b"t"), named, nameless)))
    assert shown == [("a.png", b"1", True, "Xa@bX"), ("b.png", b"2", False, None)]
    beside = files(mail(multi(b"mixed", b"X", page(b"t"), named)))
    assert beside == [("a.png", b"1", False, "Xa@bX")]


def test_as_many_bytes_of_files_as_there_is_room_for() -> None:
    one, empty, two, three = (
        part(b"image/png; name=%d.png" % number, content)
        for number, content in enumerate((b"12345", b"", b"123456", b"12345"), 1)
    )
    found = mail(multi(b"mixed", b"X", plain(b"t"), one, empty, two, three), attachments_bytes=10)
    assert [name for name, *_ in files(found)] == ["1.png", "2.png", "4.png"]
    assert found.problems == {Problem.ATTACHMENT_DROPPED}
    nameless = part(b"image/png", b"")
    fitting = mail(multi(b"mixed", b"X", plain(b"t"), nameless, nameless, one, three), attachments_bytes=10)
    assert ([name for name, *_ in files(fitting)], fitting.problems) == (["1.png", "4.png"], frozenset())


def test_as_many_files_as_are_kept() -> None:
    parts = [part(b"image/png; name=%d.png" % number, b"1") for number in range(3)]
    found = mail(multi(b"mixed", b"X", plain(b"t"), *parts), attachments=2)
    assert ([name for name, *_ in files(found)], found.problems) == (
        ["0.png", "1.png"],
        frozenset({Problem.ATTACHMENT_DROPPED}),
    )
    assert mail(multi(b"mixed", b"X", plain(b"t"), *parts), attachments=3).problems == frozenset()


# Bounds of the structure


def test_as_many_parts_and_levels_as_are_read() -> None:
    many = multi(b"mixed", b"X", *(plain(b"%d" % number) for number in range(4)))
    assert (mail(many, parts=5).text, mail(many, parts=5).problems) == ("0\n\n1\n\n2\n\n3", frozenset())
    assert (mail(many, parts=4).text, mail(many, parts=4).problems) == (
        "0\n\n1\n\n2",
        frozenset({Problem.TOO_MANY_PARTS}),
    )
    deep = multi(b"mixed", b"X", multi(b"mixed", b"Y", multi(b"mixed", b"Z", plain(b"in"))), plain(b"out"))
    assert (mail(deep, depth=3).text, mail(deep, depth=3).problems) == ("in\n\nout", frozenset())
    assert (mail(deep, depth=2).text, mail(deep, depth=2).problems) == ("out", frozenset({Problem.TOO_DEEP}))


def test_a_boundary_that_never_comes_leaves_its_part_as_text() -> None:
    lost = b"Content-Type: multipart/mixed; boundary=X\r\n\r\nnothing"
    assert (mail(lost).text, mail(lost).problems) == ("nothing", frozenset({Problem.MALFORMED_STRUCTURE}))
    inner = multi(b"mixed", b"X", lost.replace(b"boundary=X", b"boundary=Y"), plain(b"after"))
    assert mail(inner).text.split() == ["nothing", "after"]
    assert mail(inner).problems == {Problem.MALFORMED_STRUCTURE}
    twice = multi(b"mixed", b"X", multi(b"mixed", b"X", plain(b"a")))
    assert Problem.MALFORMED_STRUCTURE in mail(twice).problems


def test_addresses_are_taken_out_of_their_brackets_and_nothing_else() -> None:
    found = mail(
        b"Message-ID: <Xa@bX>\r\nIn-Reply-To: <Xc@dX>\r\nDelivered-To: <Xe@f.gx>\r\n"
        b"Return-Path: <Xh@i.jx>\r\n\r\ntext"
    )
    assert (found.message_id, found.in_reply_to) == ("Xa@bX", "Xc@dX")
    assert (found.delivered_to, found.return_path) == (("xe@f.gx",), "xh@i.jx")


def test_of_a_mail_that_came_back_only_its_own_headers_are_read() -> None:
    sent = part(
        b"message/rfc822", b"Message-ID: <1@us>\r\nSubject: x\r\n\r\nMessage-ID: <2@other>\r\n\r\ntext"
    )
    found = mail(multi(b"report; report-type=delivery-status", b"X", plain(b"failed"), sent))
    assert found.bounced_message_ids == ("1@us",)
