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


def test_only_line_ends_around_a_text_are_left_out() -> None:
    assert mail(plain(b"\r\n  X a\r\nb X\r\n\r\n")).text == "  X a\nb X"


def test_a_text_that_is_sent_as_a_file_is_one() -> None:
    enclosed = part(b"text/plain", b"b", b"Content-Disposition: attachment")
    found = mail(multi(b"mixed", b"X", plain(b"a"), enclosed))
    assert (found.text, files(found)) == ("a", [("attachment.txt", b"b", False, None)])


@pytest.mark.parametrize("form", [b"text/x-amp-html", b"text/watch-html", b"text/enriched"])
def test_a_third_form_of_a_text_is_passed_over_and_what_follows_is_not(form: bytes) -> None:
    shadow = part(form, b"<p>c</p>")
    found = mail(multi(b"alternative", b"X", plain(b"a"), shadow, page(b"b")))
    assert (found.text, found.html_source, found.attachments) == ("a", "<p>b</p>", ())


def test_the_pages_of_a_mail_are_kept_one_below_the_other() -> None:
    found = mail(multi(b"mixed", b"X", page(b"a"), page(b"b")))
    assert (found.text, found.html, found.html_source) == ("a\n\nb", True, "<p>a</p>\n<p>b</p>")


def test_characters_that_deceive_are_left_out_of_a_page_too() -> None:
    assert mail(page(b"a&#x202e;b")).text == "ab"


def test_a_remark_beside_the_transfer_encoding_is_overlooked() -> None:
    assert mail(part(b"text/plain", b"YWJj", b"Content-Transfer-Encoding: Base64; x=y")).text == "abc"


def test_a_text_and_a_page_have_bounds_of_their_own() -> None:
    told = frozenset({Problem.TEXT_TRUNCATED})
    long = mail(plain(b"a" * 30), text_chars=20, html_chars=60)
    assert (long.text, long.problems) == ("a" * 20, told)
    # A page has more characters than the text that is made of it.
    markup = mail(part(b"text/html", b"<p>" + b"<b></b>" * 6 + b"abc</p>"), text_chars=20, html_chars=60)
    assert (markup.text, markup.problems) == ("abc", frozenset())
    # Each fits, both together don't.
    both = mail(multi(b"mixed", b"X", plain(b"a" * 15), plain(b"b" * 15)), text_chars=20)
    assert (both.text, both.problems) == ("a" * 15 + "\n\n" + "bbb", told)


def test_of_the_widest_characters_as_many_are_read_as_of_others() -> None:
    for pictures, problems in ((2, frozenset()), (3, frozenset({Problem.TEXT_TRUNCATED}))):
        wide = part(b"text/plain; charset=utf-8", "😀".encode() * pictures)
        found = mail(wide, text_chars=2)
        assert (found.text, found.problems) == ("😀😀", problems)


@pytest.mark.parametrize(
    ("text", "markup", "reply"),
    [
        # What the text alternative lost, the page tells.
        ("Да\nЧто?", "Да<blockquote>Что?</blockquote>", "Да"),
        ("Да\nЧто?", "Да&#x202e;<blockquote>Что?</blockquote>", "Да"),
        # It is believed only where it marks quotes, and what is left is some of the text.
        ("Да > Что?", "Да<br>&gt; Что?", "Да > Что?"),
        ("Да", "Да, конечно<blockquote>Что?</blockquote>", "Да"),
        ("Да, конечно", "Да<blockquote></blockquote>", "Да, конечно"),
        ("Да, конечно", "<blockquote><img src=x></blockquote>", "Да, конечно"),
        # Where the text marks its own, the page isn't asked.
        ("Да\nи ещё\n> Что?", "Да<blockquote>и ещё<br>Что?</blockquote>", "Да\nи ещё"),
    ],
)
def test_the_reply_is_found_in_the_page_where_its_text_lost_the_quotes(
    text: str, markup: str, reply: str
) -> None:
    found = mail(
        multi(
            b"alternative",
            b"X",
            part(b"text/plain; charset=utf-8", text.encode()),
            part(b"text/html; charset=utf-8", markup.encode()),
        )
    )
    assert (found.text, found.reply) == (text, reply)


def test_html_says_its_character_set_itself_where_the_header_does_not() -> None:
    said = (
        b'<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>\xcf\xf0\xe8\xe2</p>'
    )
    found = mail(part(b"text/html", said))
    assert (found.text, found.problems) == ("Прив", frozenset())
    shouted = mail(part(b"text/html", said.replace(b"charset", b"CHARSET").replace(b"meta", b"META")))
    assert (shouted.text, shouted.problems) == ("Прив", frozenset())
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


def test_what_has_no_room_takes_none_from_what_follows() -> None:
    empty, large, small = (part(b"image/png", content) for content in (b"", b"1234", b"123"))
    found = mail(multi(b"mixed", b"X", plain(b"t"), empty, large, small), attachments_bytes=3)
    assert [content for _, content, *_ in files(found)] == [b"123"]


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


def test_what_looks_like_a_boundary_and_is_too_long_is_text() -> None:
    dashes = b"-" * 300
    found = mail(multi(b"mixed", b"X", plain(b"a\r\n" + dashes + b"\r\nb"), plain(b"c")))
    assert found.text == f"a\n{dashes.decode()}\nb\n\nc"


@pytest.mark.parametrize("boundary", [b"X--", b'"X "', b'"X Y"'])
def test_a_boundary_may_hold_dashes_and_blanks(boundary: bytes) -> None:
    line = b"--" + boundary.strip(b'"').rstrip() + b"\r\n"
    head = b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n"
    found = mail(head + line + plain(b"a\r\n") + line + plain(b"b"))
    assert (found.text, found.problems) == ("a\n\nb", frozenset())


def test_an_empty_boundary_is_none() -> None:
    found = mail(b'Content-Type: multipart/mixed; boundary=""\r\n\r\na\r\n--\r\nb')
    assert (found.text, found.problems) == ("a\n--\nb", frozenset({Problem.MALFORMED_STRUCTURE}))


def test_what_no_boundary_divides_is_encoded_as_its_own_headers_say() -> None:
    encoded = b"Content-Transfer-Encoding: quoted-printable\r\n"
    alone = b"Content-Type: multipart/mixed; boundary=X\r\n\r\na=41"
    assert mail(encoded + alone).text == "aA"
    assert mail(encoded + multi(b"mixed", b"Y", alone)).text == "a=41"


def test_a_file_that_is_the_whole_mail_is_kept_to_its_last_byte() -> None:
    found = mail(part(b"image/png; name=a.png", b"1\r", b"Content-ID: <x>"))
    assert files(found) == [("a.png", b"1\r", False, "x")]


def test_after_the_last_boundary_comes_nothing_more() -> None:
    assert mail(multi(b"mixed", b"X", plain(b"a")) + b"--X\r\n" + plain(b"b")).text == "a"


def test_a_part_of_a_digest_may_be_text_all_the_same() -> None:
    assert mail(multi(b"digest", b"X", part(b"text", b"a"))).text == "a"


def test_headers_that_are_cut_are_told_be_they_the_mails_or_a_parts() -> None:
    long = b"X-Long: " + b"x" * 100 + b"\r\n"
    for content in (long + multi(b"mixed", b"X", plain(b"a")), multi(b"mixed", b"X", long + plain(b"a"))):
        found = mail(content, header_value_bytes=60)
        assert (found.text, found.problems) == ("a", frozenset({Problem.HEADERS_TRUNCATED}))


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


def test_a_report_tells_of_every_mail_and_every_recipient() -> None:
    report = b"report; report-type=delivery-status"
    one, two = (part(b"message/rfc822", b"\r\nMessage-ID: <%d@us>\r\n\r\n" % number) for number in (1, 2))
    assert mail(multi(report, b"X", plain(b"t"), one, two)).bounced_message_ids == ("1@us", "2@us")
    statuses = part(
        b"message/delivery-status",
        b"Reporting-MTA: dns; x\r\n\r\n"
        b"Final-Recipient: ann@c.d\r\nAction: failed\r\nOriginal-Message-ID: <3@us>\r\n\r\n"
        b"Final-Recipient: rfc822; bob@c.d\r\nAction: failed\r\nOriginal-Message-ID: <4@us>\r\n",
    )
    found = mail(multi(report, b"X", plain(b"t"), statuses))
    assert found.bounced_message_ids == ("3@us", "4@us")
    assert [status.recipient for status in found.delivery_statuses] == ["ann@c.d", "bob@c.d"]


@pytest.mark.parametrize(
    "kind", [b"message/rfc822", b"message/rfc822-headers", b"message/global", b"text/rfc822-headers"]
)
def test_a_mail_may_come_back_in_several_forms(kind: bytes) -> None:
    sent = part(kind, b"Message-ID: <1@us>\r\n\r\n")
    assert mail(multi(b"report", b"X", plain(b"t"), sent)).bounced_message_ids == ("1@us",)


@pytest.mark.parametrize(
    "kind",
    [b"message/delivery-status", b"message/global-delivery-status", b"message/disposition-notification"],
)
def test_a_report_may_come_in_several_forms(kind: bytes) -> None:
    status = part(kind, b"Original-Message-ID: <1@us>\r\nFinal-Recipient: ann@c.d\r\nAction: failed\r\n")
    found = mail(multi(b"report", b"X", plain(b"t"), status))
    assert (found.bounced_message_ids, len(found.delivery_statuses)) == (("1@us",), 1)


def test_only_a_report_tells_of_deliveries() -> None:
    status = part(b"message/delivery-status", b"Final-Recipient: ann@c.d\r\nAction: failed\r\n")
    assert mail(multi(b"mixed", b"X", plain(b"t"), status)).delivery_statuses == ()
    unnamed = mail(multi(b"report", b"X", plain(b"t"), status))
    assert (unnamed.report_type, len(unnamed.delivery_statuses)) == ("", 1)


def test_every_server_may_say_to_whom_it_delivered() -> None:
    found = mail(b"Envelope-To: a@b.c\r\nX-Envelope-To: d@e.f\r\n\r\ntext")
    assert found.delivered_to == ("a@b.c", "d@e.f")


def test_a_language_is_told_by_the_reply_and_by_the_subject_of_an_empty_one() -> None:
    russian = "From: a@b.c\r\nSubject: Да\r\n\r\n"
    for text, language in (("", "ru"), ("yes", "en")):
        assert parse_mail((russian + text).encode(), MailLimits()).language == language


def test_a_sender_without_an_address_has_the_name_that_was_written() -> None:
    found = parse_mail(b"From: <XPress>\r\n\r\ntext", MailLimits())
    assert (found.from_address, found.from_name) == (None, "XPress")
