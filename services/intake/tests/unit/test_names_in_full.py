"""Addresses and file names: what is read of each, case by case."""

import pytest

from deskline_intake.domain.addresses import (
    company_domain,
    domain_of,
    normalise_address,
    parse_mailboxes,
    split_plus_address,
)
from deskline_intake.domain.filenames import safe_filename

pytestmark = pytest.mark.unit

MAILBOXES: list[tuple[str, list[tuple[str, str]]]] = [
    ("Xenia Smith <x@y.z>", [("Xenia Smith", "x@y.z")]),
    ("a@b.c, d@e.f; g@h.i", [("", "a@b.c"), ("", "d@e.f"), ("", "g@h.i")]),
    ("Иванов, Иван <a@b.c>", [("Иванов, Иван", "a@b.c")]),
    ("Group: a@b.c, d@e.f;", [("", "a@b.c"), ("", "d@e.f")]),
    ('"A, \\"B\\"" <a@b.c>', [('A, "B"', "a@b.c")]),
    ("a@b.c (Comment (nested) here)", [("Comment nested here", "a@b.c")]),
    ("(c) a@b.c", [("c", "a@b.c")]),
    ("<a@b.c", [("", "a@b.c")]),
    ("<<a@b.c>>", [("", "a@b.c")]),
    ("<r:a@b.c>", [("", "a@b.c")]),
    ("A <[1.2.3.4]:a@[1.2.3.4]>", []),
    ("=?utf-8?q?a=2C_b?= <a@b.c>", [("a, b", "a@b.c")]),
    ("a @ b.c", [("", "a@b.c")]),
    ("x y a@b.c z", [("", "a@b.c")]),
    ("undisclosed recipients:;", []),
    ("A <nobody>, b@c.d", [("", "b@c.d")]),
    ("<a@b.c> <d@e.f>", [("", "a@b.c")]),
    ('"open <a@b.c>', []),
    ("a, b, c@d.e", [("", "c@d.e")]),
    (", ,a@b.c", [("", "a@b.c")]),
    ("<Xa@b.cX>", [("", "xa@b.cx")]),
    ("Group: Ann <a@b.c>;", [("Ann", "a@b.c")]),
    ('<a@b.c> "Ann', [("Ann", "a@b.c")]),
    ('"" <a@b.c>', [("", "a@b.c")]),
    ("a@b.c <nobody>", []),
    ("a@(c)b.c", [("c", "a@b.c")]),
]

# As written, as it is compared, the company that it tells.
ADDRESSES: list[tuple[str, str | None, str | None]] = [
    ("A@B.C", "a@b.c", "b.c"),
    ('"x"@b.c', "x@b.c", "b.c"),
    ('"xy@b.c', None, None),
    (" x @ b.c ", "x@b.c", "b.c"),
    ("x@b.c.", "x@b.c", "b.c"),
    ("X@B.CX", "x@b.cx", "b.cx"),
    ("x@[1.2.3.4]", "x@[1.2.3.4]", None),
    ("x@почта.рф", "x@xn--80a1acny.xn--p1ai", "xn--80a1acny.xn--p1ai"),
    ("x@a。b", "x@a.b", "a.b"),
    ("x@a．b｡c", "x@a.b.c", "a.b.c"),
    ("a b@c.d", None, None),
    ("x@-a.c", None, None),
    ("x@a_.c", "x@a_.c", "a_.c"),
    ("@b.c", None, None),
    ("x@", None, None),
    ("nobody", None, None),
    ("Ä@b.c", "ä@b.c", "b.c"),
    ("x@b..c", None, None),
]

PLUS: list[tuple[str, tuple[str, str | None]]] = [
    ("support+TOKEN@Example.ru", ("support@example.ru", "TOKEN")),
    ("support@x.ru", ("support@x.ru", None)),
    ("+t@x.ru", ("+t@x.ru", None)),
    ("a+@x.ru", ("a+@x.ru", None)),
    ("a+b+c@x.ru", ("a@x.ru", "b+c")),
    (" A@B ", ("a@b", None)),
    ("no", ("no", None)),
    ("x@y+T@x.ru", ("x@y@x.ru", "T")),
    ("a b+T@x.ru", ("a b@x.ru", "T")),
]

NAMES: list[tuple[str, str, str]] = [
    ("a.txt", "x", "a.txt"),
    ("", "application/pdf", "attachment.pdf"),
    ("___", "text/plain", "attachment.txt"),
    ("c:\\dir\\a b.doc", "x", "a b.doc"),
    ("/etc/passwd/", "x", "passwd"),
    (" .. ", "image/png", "attachment.png"),
    ('a<b>:"|?*c', "x", "a_b______c"),
    (". a. ", "x", "a"),
    ("dir/FAX", "x", "FAX"),
    ("_X_", "x", "_X_"),
]


@pytest.mark.parametrize(("value", "found"), MAILBOXES)
def test_mailboxes(value: str, found: list[tuple[str, str]]) -> None:
    assert [(box.name, box.address) for box in parse_mailboxes(value, 10)] == found
    assert [(box.name, box.address) for box in parse_mailboxes(value, 1)] == found[:1]


@pytest.mark.parametrize(("address", "normal", "company"), ADDRESSES)
def test_addresses(address: str, normal: str | None, company: str | None) -> None:
    assert (normalise_address(address), company_domain(address)) == (normal, company)


def test_addresses_at_their_limits() -> None:
    label, most = "a" * 63, ".".join(["a" * 60] * 4) + "." + "b" * 9
    assert normalise_address(f"{'x' * 64}@b.c") == f"{'x' * 64}@b.c"
    assert normalise_address(f"{'x' * 65}@b.c") is None
    assert normalise_address(f"x@{label}.c") == f"x@{label}.c"
    assert normalise_address(f"x@{label}a.c") is None
    assert normalise_address(f"x@{most}") == f"x@{most}"
    assert normalise_address(f"x@{most}b") is None
    assert normalise_address(" " * 630 + "a@b") == "a@b"
    assert normalise_address(" " * 632 + "a@b") is None


@pytest.mark.parametrize("public", ["mail.ru", "yandex.ru", "gmail.com", "mail.ee"])
def test_public_mail_tells_no_company(public: str) -> None:
    assert company_domain(f"a@{public}") is None
    assert company_domain(f"a@not-{public}") == f"not-{public}"


@pytest.mark.parametrize(("address", "split"), PLUS)
def test_plus_addresses(address: str, split: tuple[str, str | None]) -> None:
    assert split_plus_address(address) == split


@pytest.mark.parametrize(("name", "media_type", "safe"), NAMES)
def test_file_names(name: str, media_type: str, safe: str) -> None:
    assert safe_filename(name, media_type) == safe


@pytest.mark.parametrize(
    ("stem", "extension", "safe"),
    [
        (116, ".pdf", "x" * 116 + ".pdf"),
        (117, ".pdf", "x" * 116 + ".pdf"),
        (121, "", "x" * 120),
        (110, "." + "e" * 16, "x" * 103 + "." + "e" * 16),
        (110, "." + "e" * 17, "x" * 110 + "." + "e" * 9),
        (200, ".tar.gz", "x" * 117 + ".gz"),
    ],
)
def test_long_file_names_keep_their_extension(stem: int, extension: str, safe: str) -> None:
    assert safe_filename("x" * stem + extension, "x") == safe


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [
        ("message/rfc822", ".eml"),
        ("text/calendar", ".ics"),
        ("text/plain", ".txt"),
        ("text/html", ".html"),
        ("text/csv", ".csv"),
        ("image/png", ".png"),
        ("image/jpeg", ".jpg"),
        ("image/gif", ".gif"),
        ("application/pdf", ".pdf"),
        ("application/zip", ".zip"),
        ("message/delivery-status", ".txt"),
        ("text/rfc822-headers", ".txt"),
        ("application/x-unheard-of", ""),
    ],
)
def test_a_nameless_file_is_named_by_its_type(media_type: str, extension: str) -> None:
    assert safe_filename("", media_type) == f"attachment{extension}"


def test_the_domain_is_what_follows_the_last_sign() -> None:
    assert domain_of("a@b@c.d") == "c.d"
