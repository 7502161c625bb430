"""Characters, encoded words and file names: decoded as written, as declared, or as can be guessed."""

import base64

import pytest

from deskline_intake.domain.charsets import codec_of, decode
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import ParsedMail, parse_mail
from deskline_intake.domain.problems import Problem

pytestmark = pytest.mark.unit

LIMITS = MailLimits()


def parse(*lines: str, limits: MailLimits = LIMITS) -> ParsedMail:
    return parse_mail("\r\n".join(lines).encode(), limits)


def b64(text: str, charset: str = "utf-8") -> str:
    return base64.b64encode(text.encode(charset)).decode()


def word(text: str, charset: str = "utf-8") -> str:
    return f"=?{charset}?B?{b64(text, charset)}?="


@pytest.mark.parametrize("charset", ["utf-8", "cp1251", "koi8-r"])
@pytest.mark.parametrize("declared", [None, "x-unknown", "us-ascii", "default"])
def test_russian_is_read_whatever_was_declared(charset: str, declared: str | None) -> None:
    text = "Здравствуйте! Терминал на складе не печатает этикетки."
    content_type = f"Content-Type: text/plain; charset={declared}\n" if declared else ""
    raw = f"From: a@b.ru\nSubject: Заявка на ремонт\n{content_type}\n{text}".encode(charset)

    mail = parse_mail(raw, LIMITS)

    assert mail.text == text
    assert mail.subject == "Заявка на ремонт"
    assert Problem.CHARSET_GUESSED in mail.problems


@pytest.mark.parametrize("charset", ["cp1251", "koi8-r"])
@pytest.mark.parametrize(
    "text", ["ЗАЯВКА", "Привет", "тест", "ДОГОВОР 5", "Не работает", "да", "Срочно!", "Иван Петров"]
)
def test_short_russian_words_are_told_apart(charset: str, text: str) -> None:
    assert decode(text.encode(charset)).text == text


def test_cyrillic_labelled_as_western_is_seen_through() -> None:
    data = "Не работает принтер".encode("cp1251")

    assert decode(data, "iso-8859-1").text == "Не работает принтер"
    assert decode("Café à la crème".encode("latin-1"), "iso-8859-1").text == "Café à la crème"


def test_utf8_labelled_as_windows_1251_is_seen_through() -> None:
    assert decode("Не работает принтер".encode(), "windows-1251").text == "Не работает принтер"


def test_a_damaged_character_is_replaced_and_flagged() -> None:
    decoded = decode("Не работает принтер".encode() + b"\xff" + b"!", "utf-8")

    assert decoded.text == "Не работает принтер\ufffd!"
    assert decoded.replaced


def test_bytes_that_are_no_text_are_replaced_and_flagged() -> None:
    assert decode(bytes(range(128, 160)) * 4).replaced


@pytest.mark.parametrize(
    "name", ["idna", "punycode", "unicode_escape", "rot13", "zlib", "utf-7", "undefined", "x" * 10_000]
)
def test_a_codec_that_is_no_character_set_is_not_used(name: str) -> None:
    assert codec_of(name) is None


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("plain", "plain"),
        ("=?utf-8?Q?=D0=9F=D1=80=D0=B8=D0=B2=D0=B5=D1=82_=D0=BC=D0=B8=D1=80?=", "Привет мир"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        ("=?windows-1251*ru?B?z/Do4uXy?=", "Привет"),
        ("=?win-1251?B?z/Do4uXy?=", "Привет"),
        ("=?x-nonsense?B?z/Do4uXy?=", "Привет"),
        ("=?utf-8?B?0J/RgNC40LI=?= =?utf-8?B?0LXRgg==?=", "Привет"),
        ("=?utf-8?B?0J/RgNC40LI?= and =?utf-8?B?0LXRgg?=", "Прив and ет"),
        ("=?utf-8?B?0J/RgNA=?= =?utf-8?B?uNCy0LXRgg==?=", "Привет"),
        ("=?utf-8?B?0J/RgNC40?= =?utf-8?B?LLQtdGC?=", "Привет"),
        ("=?utf-8?Q?=D0?= =?utf-8?Q?=9F?=", "П"),
        ("=?utf-8?B?0J/RgN!!C40LLQtdGC?=", "Привет"),
        ("=?utf-8?Q?Как дела??=", "Как дела?"),
        ("=?utf-8?Q?unfinished", "=?utf-8?Q?unfinished"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("Re:=?utf-8?B?0J/RgNC40LLQtdGC?=!", "Re:Привет!"),
        ("=?utf-8?Q?a=0D=0ABcc:_x=40y?=", "a Bcc: x@y"),
        ("=?utf-8?B?YQ0KQmNjOiB4?=", "a Bcc: x"),
        ("a\x00b\x07c\u202ed", "a b c d"),
        ("a\u2028b\x85c", "a b c"),
        ("  spaced \t out  ", "spaced out"),
    ],
)
def test_a_subject_is_one_decoded_line(value: str, subject: str) -> None:
    assert parse(f"Subject: {value}", "", "x").subject == subject


def test_a_folded_subject_is_unfolded_and_one_folded_without_blank_too() -> None:
    assert parse("Subject: a", "\tb", " c", "", "x").subject == "a b c"
    assert parse(f"Subject: {word('Прив')}", word("ет"), "From: a@b.ru", "", "x").subject == "Привет"


@pytest.mark.parametrize(
    ("parameter", "filename"),
    [
        ('filename="report.pdf"', "report.pdf"),
        ("filename=Счёт на оплату.pdf", "Счёт на оплату.pdf"),
        ("filename*=utf-8''%D0%A1%D1%87%D1%91%D1%82.pdf", "Счёт.pdf"),
        ("filename*=windows-1251'ru'%D1%F7%B8%F2.pdf", "Счёт.pdf"),
        ("filename*0*=utf-8''%D0%A1%D1%87; filename*1*=%D1%91%D1; filename*2*=%82.pdf", "Счёт.pdf"),
        ('filename*1=".pdf"; filename*0="long"', "long.pdf"),
        ("filename=\"fallback.pdf\"; filename*=utf-8''%D0%A1%D1%87%D1%91%D1%82.pdf", "Счёт.pdf"),
        (f'filename="{word("Счёт.pdf")}"', "Счёт.pdf"),
        (f'filename="{word("Сч")} {word("ёт.pdf")}"', "Счёт.pdf"),
        ('filename="../../etc/passwd"', "passwd"),
        ("filename*=utf-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ('filename="C:\\Users\\ivan\\doc.docx"', "doc.docx"),
        ('filename=".."', "attachment.pdf"),
        ('filename="/"', "attachment.pdf"),
        ('filename=".htaccess"', "htaccess"),
        ('filename="a\\"b.pdf"', "a_b.pdf"),
        ("filename*=utf-8''a%0D%0ASet-Cookie:%20x.pdf", "a Set-Cookie_ x.pdf"),
        ("filename*=utf-8''invoice%E2%80%AEfdp.exe", "invoice fdp.exe"),
        ("filename*=utf-8''a%00b.pdf", "a b.pdf"),
        ("filename=" + "a" * 500 + ".pdf", "a" * 116 + ".pdf"),
        ("filename*=broken'%ZZ", "broken'%ZZ"),
        ('filename="unclosed.pdf', "unclosed.pdf"),
    ],
)
def test_a_file_name_is_a_safe_last_component(parameter: str, filename: str) -> None:
    mail = parse(
        "From: a@b.ru",
        "Content-Type: application/pdf",
        f"Content-Disposition: attachment; {parameter}",
        "",
        "x",
    )

    assert [a.filename for a in mail.attachments] == [filename]


def test_broken_base64_gives_what_can_be_read_and_is_flagged() -> None:
    mail = parse("From: a@b.ru", "Content-Transfer-Encoding: base64", "", "SGVsbG8gd29ybG")

    assert mail.text == "Hello worl"
    assert Problem.ENCODING_BROKEN in mail.problems


@pytest.mark.parametrize("body", ["Принтер не печатает", "!!!!====", "=====", "Hello, it does not print."])
def test_text_that_only_claims_to_be_base64_is_flagged(body: str) -> None:
    mail = parse("From: a@b.ru", "Content-Transfer-Encoding: base64", "", body)

    assert Problem.ENCODING_BROKEN in mail.problems


@pytest.mark.parametrize("body", ["", "SGVsbG8=\r\n\r\n_____\r\nlist, footer", "SGVs\r\nbG8="])
def test_short_base64_with_a_footer_is_sound(body: str) -> None:
    mail = parse("From: a@b.ru", "Content-Transfer-Encoding: base64", "", body)

    assert mail.problems == set()
    assert mail.text == ("Hello" if body else "")


def test_uuencoded_content_is_decoded() -> None:
    mail = parse(
        "From: a@b.ru",
        "Content-Type: application/octet-stream; name=a.txt",
        "Content-Transfer-Encoding: x-uuencode",
        "",
        "begin 644 a.txt",
        "#86)C",
        "`",
        "end",
    )

    assert mail.attachments[0].content == b"abc"
