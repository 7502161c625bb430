"""Headers, character sets and encodings: what is read of each, case by case."""

from typing import Any

import pytest

from deskline_intake.domain.body import unflow
from deskline_intake.domain.charsets import Decoded, codec_of, cut, decode
from deskline_intake.domain.headers import (
    decode_base64,
    decode_words,
    parse_parameters,
    read_headers,
    single_line,
)
from deskline_intake.domain.limits import MailLimits
from deskline_intake.domain.mail import message_ids
from deskline_intake.domain.mime import decode_content

pytestmark = pytest.mark.unit

# Bytes, the declared set, the text, whether it was guessed, whether anything was replaced.
DECODED: list[tuple[bytes, str | None, str, bool, bool]] = [
    (b"abc", None, "abc", False, False),
    ("Привет".encode(), "koi8-r", "Привет", True, False),
    (b"abc", "utf-16", "abc", True, False),
    (b"\x1b$B$3$s\x1b(B", "iso-2022-jp", "こん", False, False),
    (b"\x1b$)C\x0e0!\x0f", "iso-2022-kr", "가", False, False),
    (b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", None, "Привет, мир", True, False),
    (b"\xf0\xd2\xc9\xd7\xc5\xd4, \xcd\xc9\xd2", None, "Привет, мир", True, False),
    (b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", "latin-1", "Привет, мир", True, False),
    (b"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", "cp1251", "Привет", True, False),
    (b"\xd0\x9f\xd1\x80", "cp1251", "Пр", True, False),
    (b"\xe9", "latin-1", "И", True, False),
    (b"d\xe9j\xe0 vu d\xe9j\xe0", "iso-8859-1", "déjà vu déjà", False, False),
    (b"\xff\xfe\x00", "utf-16", "��\x00", True, True),
    (b"\xff\xfeA\x00", "utf-16", "A", False, False),
    (b"A\x00B\x00", "utf-16-le", "AB", False, False),
    (b"\x00A\x00B", "utf-16-be", "AB", False, False),
    (b"A\x00\x00\x00", "utf-32", "A", False, False),
    (b"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\xff", None, "Привет�", True, True),
    (b"\x81\x82\x83\x84", None, "����", True, True),
    (b"\x8f\xe0\xa8\xa2\xa5\xe2", "cp866", "Привет", False, False),
    (b"\xef\xf0\xe8\xe2\xe5\xf2", "unknown-8bit", "привет", True, False),
    (b"\xef\xf0\xe8\xe2\xe5\xf2", "ascii", "привет", True, False),
    (b"\xcf\xf0\xe8\xe2\xe5\xf2", "win-1251", "Привет", False, False),
    # Fewer than four bytes may be UTF-8 by chance; and what no Western or Cyrillic name is about is believed.
    ("abc я".encode(), "windows-1251", "abc СЏ", False, False),
    ("abcdef €".encode(), "windows-1252", "abcdef â‚¬", False, False),
    ("€".encode(), "windows-1252", "€", True, False),
    ("яя".encode(), "windows-1251", "яя", True, False),
    ("яя".encode(), "cp866", "╤П╤П", False, False),
    (
        "A long text in English. Привет, мир".encode("cp1251"),
        None,
        "A long text in English. Привет, мир",
        True,
        False,
    ),
    ("Привет, мир".encode("cp1251") + b"\x98", None, "Привет, мир�", True, True),
    ("Größe über Straße".encode("latin-1"), None, "Gr��e �ber Stra�e", True, True),
]

CODECS: list[tuple[str, str | None]] = [
    ("UTF-8", "utf_8"),
    ("utf8", "utf_8"),
    ("UTF_8", "utf_8"),
    ("windows-1251", "cp1251"),
    ("win-1251", "cp1251"),
    ("x-cp1251", "cp1251"),
    ("ansi-1251", "cp1251"),
    ("koi8", "koi8_r"),
    ("KOI8-R", "koi8_r"),
    ("x-mac-cyrillic", "mac_cyrillic"),
    ("unicode-1-1-utf-8", "utf_8"),
    ("utf8mb4", "utf_8"),
    ("ks_c_5601-1987", "cp949"),
    ("x-sjis", "shift_jis"),
    ("utf-7", None),
    ("idna", None),
    ("", None),
    ("us-ascii", "ascii"),
    ("iso-8859-1", "latin_1"),
    ("latin1", "latin_1"),
    ("unicode_escape", None),
    ("cp932", "cp932"),
    ("uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu", None),
]

CUTS: list[tuple[bytes, int, bytes]] = [
    (b"abc", 3, b"abc"),
    (b"abc", 2, b"ab"),
    (b"\xd1\x8f\xd1\x8f", 3, b"\xd1\x8f"),
    (b"\xd1\x8f\xd1\x8f", 2, b"\xd1\x8f"),
    (b"\xd1\x8f", 1, b""),
    (b"\xf0\x9f\x99\x82", 3, b""),
    (b"a\xf0\x9f\x99\x82", 4, b"a"),
    (b"\x80\x80\x80\x80\x80\x80\x80\x80", 5, b"\x80\x80"),
]

WORDS: list[tuple[str, str]] = [
    ("=?utf-8?B?0J8=?= =?utf-8?B?0YA=?=", "Пр"),
    ("=?utf-8?B?0A==?= =?utf-8?B?nw==?=", "П"),
    ("=?koi8-r?Q?=F0=D2?=", "Пр"),
    ("=?utf-8?q?a_b?=  c", "a b  c"),
    ("a =?utf-8?q?b?=c", "a bc"),
    ("=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
    ("=?utf-8*en?q?a?=", "a"),
    ("=?koi8-r*ru?q?=F0?=", "П"),
    ("a =?utf-8?q?b?= c =?utf-8?q?d?= e", "a b c d e"),
    ("=?nope?q?a?=", "a"),
    ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
    ("=?utf-8?q?a", "=?utf-8?q?a"),
    ("=?UTF-8?Q?=D0?= =?utf-8?q?=9F?=", "П"),
    ("=?utf-8?B?0J8?=", "П"),
    ("=?utf-8?q?a?= =?koi8-r?q?=D2?= =?utf-8?q?b?=", "aрb"),
    # Cut wherever the encoder liked, with and without padding.
    ("=?utf-8?b?0J/?= =?utf-8?b?RgA==?=", "Пр"),
    ("=?utf-8?b?0J/?= =?utf-8?b?RgA?=", "Пр"),
    ("=?utf-8?b?0J/?= =?utf-8?b?RgNC?= =?utf-8?b?40LLQtdGC?=", "Привет"),
    ("=?utf-8?b?0J/R?= =?utf-8?b?gNC?= =?utf-8?b?40LLQtdGC?=", "Привет"),
    ("=?utf-8?b?0J/Rg?= =?utf-8?b?NC40LLQtdGC?=", "Привет"),
    ("=?utf-8?b?0A=?= =?utf-8?b?nw==?=", "П"),
    ("no", "no"),
]

BASE64: list[tuple[bytes, bytes, bool]] = [
    (b"YWJj", b"abc", True),
    (b"YWJj\r\n", b"abc", True),
    (b"YWI=footer!", b"ab", True),
    (b"YWJ", b"ab", False),
    (b"YW!Jj", b"abc", False),
    (b"YW!J", b"ab", False),
    (b"YW!!!!Jj", b"abc", False),
    (b"", b"", True),
    (b" \n", b"", True),
    (b"=", b"", False),
    (b"Y", b"", False),
    (b"YWJjY", b"abc", False),
]

PARAMETERS: list[tuple[bytes, str, dict[str, str]]] = [
    (b"text/plain; charset=utf-8", "text/plain", {"charset": "utf-8"}),
    (b'TEXT/Html; Charset="a\\"b"', "text/html", {"charset": 'a"b'}),
    (b"a; filename*0=ab; filename*1=cd", "a", {"filename": "abcd"}),
    (b"a; filename*=utf-8''%D0%9F.txt", "a", {"filename": "П.txt"}),
    (b"a; filename*0*=utf-8''%D0; filename*1*=%9F; filename*2=x", "a", {"filename": "Пx"}),
    (b'a; filename="c:\\dir\\x"', "a", {"filename": "c:\\dir\\x"}),
    (b'a; filename="dir\\Xfile"', "a", {"filename": "dir\\Xfile"}),
    (b'a; filename="open', "a", {"filename": "open"}),
    (b"a; b = c ; d=e", "a", {"b": "c", "d": "e"}),
    (b"a; filename==?utf-8?q?b?=", "a", {"filename": "b"}),
    (b"a; x=1; x=2", "a", {"x": "1"}),
    (b"", "", {}),
    (b"a; filename*1=b; filename*0=a", "a", {"filename": "ab"}),
    (b"a; filename*=x", "a", {"filename": "x"}),
    (b'a; filename=""', "a", {"filename": ""}),
    (b"a; filename*0=a'b'c; filename*1=d", "a", {"filename": "a'b'cd"}),
    (b"a; filename*=utf-8''it's%20a.txt", "a", {"filename": "it's a.txt"}),
    (b"a; filename*0=100%25; filename*1=x", "a", {"filename": "100%25x"}),
    (b"a; filename*=koi8-r''%F0", "a", {"filename": "П"}),
]

FLOWED: list[tuple[str, bool, str]] = [
    ("a \nb", False, "a b"),
    ("a \nb", True, "ab"),
    ("> a \n> b", False, "> a b"),
    ("> a \n>> b", False, "> a \n>> b"),
    ("a \n> b", False, "a \n> b"),
    ("-- \nb", False, "-- \nb"),
    ("a ", False, "a "),
    ("> a ", False, "> a "),
    ("Xerox \nb", False, "Xerox b"),
    ("> -- \n> x", False, "> -- \n> x"),
    ("  a\n b", False, " a\nb"),
    ("a \n\nb", False, "a \nb"),
]

CONTENTS: list[tuple[bytes, str, bytes, bool]] = [
    (b"YWJj", "base64", b"abc", True),
    (b"=41=\nB", "quoted-printable", b"AB", True),
    (b"x", "7bit", b"x", True),
    (b"x", "8bit", b"x", True),
    (b"x", "binary", b"x", True),
    (b"x", "", b"x", True),
    (b"x", "odd", b"x", False),
    (b"begin 644 a\n#86)C\n`\nend\ntail", "x-uuencode", b"abc", True),
    (b"pre\nbegin 644 a\r\n#86)C\r\nend", "uue", b"abc", True),
    (b"#86)C", "uuencode", b"#86)C", False),
    (b"begin 1 a\n\x01\x02bad\n#86)C\nend", "x-uue", b"abc", False),
    (b"begin 1 a", "uue", b"begin 1 a", False),
    (b"begin 1 a\n#86)C", "uue", b"abc", True),
    (b"begin 1 a\n#86(X\n`\nend\n", "uue", b"ab8", True),
    (b"begin 1 a\r\n#86)C\r\n`\r\nend\r\n", "uuencode", b"abc", True),
    (b"begin 1 a\n#86)C\n`\nend\nbegin 1 b\n#9&5F\n`\nend\n", "uue", b"abc", True),
]

IDS: list[tuple[str, list[str]]] = [
    ("<Xa@bX> <Xc@d>", ["Xa@bX", "Xc@d"]),
    ("<a@b> <c@d> <a@b>", ["a@b", "c@d"]),
    ("a@b", []),
    ("< a b @c >", ["ab@c"]),
    ("<>", []),
    ("<<x>>", ["x"]),
]

# Bytes, limits, the fields, where the body begins, whether anything was left out.
HEADERS: list[tuple[bytes, dict[str, Any], dict[str, list[bytes]], int, bool]] = [
    (b"A: b\nC: d\n\nx", {}, {"a": [b"b"], "c": [b"d"]}, 11, False),
    (b"A: b\r\n c\r\n\r\nx", {}, {"a": [b"b c"]}, 12, False),
    (b"From x\nA: b\n\n", {}, {"a": [b"b"]}, 13, False),
    (b">From x\nA: b\n\n", {}, {"a": [b"b"]}, 14, False),
    (b"from x\nA: b\n\n", {}, {}, 0, False),
    (b"A: b\nFrom x\n\n", {}, {"a": [b"b"]}, 5, False),
    (b"A: b\n--x", {}, {"a": [b"b"]}, 5, False),
    (b"A: b\n=?x?=\n\n", {}, {"a": [b"b =?x?="]}, 12, False),
    (b"=?x\nA: b\n\n", {}, {}, 0, False),
    (b"A : b\n\n", {}, {"a": [b"b"]}, 7, False),
    (b"A: 1\nA: 2\n\n", {}, {"a": [b"1", b"2"]}, 11, False),
    (b"A: b", {}, {"a": [b"b"]}, 4, False),
    (b"A: bcdefgh\nC: d\n\n", {"header_value_bytes": 4}, {"a": [b"bc"], "c": [b"d"]}, 17, True),
    (b"A: b\nC: d\n\n", {"header_count": 1}, {"a": [b"b"]}, 11, True),
    (b"A: bcd\nE: fgh\n\n", {"header_bytes": 6}, {"a": [b"bcd"], "e": [b""]}, 15, True),
    (b" lead\nA: b\n\n", {}, {}, 0, False),
    (b"junk\nA: b\n\n", {}, {}, 0, False),
    (b"A: b\rC: d\n\n", {}, {"a": [b"b\rC: d"]}, 11, False),
    (b"", {}, {}, 0, False),
    # Folded values at the bound of one, and names at the bound of all.
    (b"A: bc\n de\n fg\n\n", {"header_value_bytes": 5}, {"a": [b"bc d"]}, 15, True),
    (b"A: bc\n de\n\n", {"header_value_bytes": 6}, {"a": [b"bc de"]}, 11, False),
    (b"A: bcd\n\n", {"header_value_bytes": 6}, {"a": [b"bcd"]}, 8, False),
    (b"A:b\nC:d\n\n", {"header_bytes": 2}, {"a": [b"b"]}, 9, True),
    (b"Abc:d\n\n", {"header_bytes": 1}, {"abc": [b""]}, 7, True),
    (b"\nA: b\n\n", {}, {}, 1, False),
    (b"A: b\n \nC: d\n\n", {}, {"a": [b"b"], "c": [b"d"]}, 13, False),
]

LINES: list[tuple[str, int, str]] = [
    ("a\r\n b", 10, "a b"),
    ("a\u202eb", 10, "a b"),
    ("abc  ", 3, "abc"),
    ("ab cd", 3, "ab"),
    ("\x00a", 5, "a"),
    ("  ", 5, ""),
]


@pytest.mark.parametrize(("data", "declared", "text", "guessed", "replaced"), DECODED)
def test_character_sets(data: bytes, declared: str | None, text: str, guessed: bool, replaced: bool) -> None:
    assert decode(data, declared) == Decoded(text, guessed, replaced)


@pytest.mark.parametrize(
    "declared", ["latin-1", "windows-1252", "iso-8859-15", "windows-1250", "iso-8859-2", "macintosh"]
)
def test_russian_that_is_declared_as_western_is_russian_all_the_same(declared: str) -> None:
    assert decode("Привет, мир".encode("cp1251"), declared) == Decoded("Привет, мир", guessed=True)


@pytest.mark.parametrize(("name", "codec"), CODECS)
def test_names_of_character_sets(name: str, codec: str | None) -> None:
    assert codec_of(name) == codec


@pytest.mark.parametrize(("data", "size", "kept"), CUTS)
def test_bytes_are_cut_between_characters(data: bytes, size: int, kept: bytes) -> None:
    assert cut(data, size) == kept


@pytest.mark.parametrize(("text", "decoded"), WORDS)
def test_encoded_words(text: str, decoded: str) -> None:
    assert decode_words(text) == decoded


@pytest.mark.parametrize(("data", "decoded", "sound"), BASE64)
def test_base64(data: bytes, decoded: bytes, sound: bool) -> None:
    assert decode_base64(data) == (decoded, sound)


def test_of_a_long_base64_half_must_be_content() -> None:
    whole = b"YWJj" * 100
    assert decode_base64(whole) == (b"abc" * 100, True)
    assert decode_base64(whole[:300] + b"=" + b"!" * 200) == (b"abc" * 75, False)
    assert decode_base64(whole[:300] + b"=" + b"!" * 99)[1] is True


@pytest.mark.parametrize(("value", "main", "parameters"), PARAMETERS)
def test_parameters(value: bytes, main: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(value) == (main, parameters)


@pytest.mark.parametrize(("text", "delete_space", "joined"), FLOWED)
def test_flowed_text(text: str, delete_space: bool, joined: str) -> None:
    assert unflow(text, delete_space=delete_space) == joined


@pytest.mark.parametrize(("data", "encoding", "content", "sound"), CONTENTS)
def test_transfer_encodings(data: bytes, encoding: str, content: bytes, sound: bool) -> None:
    assert decode_content(data, encoding) == (content, sound)


@pytest.mark.parametrize(("text", "found"), IDS)
def test_message_ids(text: str, found: list[str]) -> None:
    assert message_ids(text) == found


@pytest.mark.parametrize(("raw", "limits", "fields", "end", "truncated"), HEADERS)
def test_header_blocks(
    raw: bytes, limits: dict[str, Any], fields: dict[str, list[bytes]], end: int, truncated: bool
) -> None:
    read = read_headers(raw, 0, MailLimits(**limits))
    assert (read.fields, read.end, read.truncated) == (fields, end, truncated)
    moved = read_headers(b"12" + raw, 2, MailLimits(**limits))
    assert (moved.fields, moved.end, moved.truncated) == (fields, end + 2, truncated)


@pytest.mark.parametrize(("text", "limit", "line"), LINES)
def test_single_lines(text: str, limit: int, line: str) -> None:
    assert single_line(text, limit) == line


def test_limits_are_these() -> None:
    assert MailLimits() == MailLimits(
        raw_bytes=26_214_400,
        parts=200,
        depth=20,
        header_bytes=262_144,
        header_count=1_000,
        header_value_bytes=65_536,
        subject_chars=500,
        text_chars=1_000_000,
        html_chars=2_000_000,
        attachments=50,
        attachments_bytes=26_214_400,
        addresses=200,
        references=100,
        reports=50,
    )
