"""Addresses: what counts as equal, and what an address field can't be talked into."""

import pytest

from deskline_intake.domain.addresses import (
    Mailbox,
    company_domain,
    normalise_address,
    parse_mailboxes,
    split_plus_address,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Ivan.Petrov@Example.RU", "ivan.petrov@example.ru"),
        (" ivan@example.ru. ", "ivan@example.ru"),
        ("иван@почта.рф", "иван@xn--80a1acny.xn--p1ai"),
        ("ivan@ПОЧТА.рф", "ivan@xn--80a1acny.xn--p1ai"),
        ("ivan@xn--80a1acny.xn--p1ai", "ivan@xn--80a1acny.xn--p1ai"),
        ('"ivan.petrov"@example.ru', "ivan.petrov@example.ru"),
        ("root@localhost", "root@localhost"),
        ("root@[10.0.0.1]", "root@[10.0.0.1]"),
        ("o'neil+tag@example.com", "o'neil+tag@example.com"),
    ],
)
def test_equal_addresses_have_one_form(written: str, normal: str) -> None:
    assert normalise_address(written) == normal
    assert normalise_address(normal) == normal


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ivan",
        "@example.ru",
        "ivan@",
        "ivan@@example.ru",
        "iv an@example.ru",
        "ivan\r\nBcc: x@example.ru",
        "ivan\x00@example.ru",
        "ivan@exa mple.ru",
        "ivan@-example.ru",
        "ivan@example..ru",
        "i" * 65 + "@example.ru",
        "ivan@" + "a" * 64 + ".ru",
        "ivan@" + "a." * 130 + "ru",
        "ivan@" + "ж" * 100_000,
        "a,b@example.ru",
        "<ivan@example.ru>",
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    assert normalise_address(written) is None


@pytest.mark.parametrize(
    ("value", "boxes"),
    [
        ("ivan@example.ru", [Mailbox("", "ivan@example.ru")]),
        ("Ivan Petrov <ivan@example.ru>", [Mailbox("Ivan Petrov", "ivan@example.ru")]),
        ('"Petrov, Ivan" <ivan@example.ru>', [Mailbox("Petrov, Ivan", "ivan@example.ru")]),
        ("Петров, Иван <ivan@example.ru>", [Mailbox("Петров, Иван", "ivan@example.ru")]),
        ("ivan@example.ru (Иван)", [Mailbox("Иван", "ivan@example.ru")]),
        ("a@b.ru,c@d.ru; e@f.ru", [Mailbox("", "a@b.ru"), Mailbox("", "c@d.ru"), Mailbox("", "e@f.ru")]),
        ("team: a@b.ru, B <c@d.ru>;", [Mailbox("", "a@b.ru"), Mailbox("B", "c@d.ru")]),
        ("undisclosed-recipients:;", []),
        ("<<ivan@example.ru>>", [Mailbox("", "ivan@example.ru")]),
        ("<mailto:ivan@example.ru>", [Mailbox("", "ivan@example.ru")]),
        ("<>", []),
        ('"unclosed <ivan@example.ru>', []),
        (
            "=?utf-8?B?0JjQstCw0L0=?= <ivan@example.ru>",
            [Mailbox("Иван", "ivan@example.ru")],
        ),
        ('"=?utf-8?B?0JjQstCw0L0=?=" <ivan@example.ru>', [Mailbox("Иван", "ivan@example.ru")]),
        (r'"Ivan \"The\" P" <i@e.ru>', [Mailbox('Ivan "The" P', "i@e.ru")]),
    ],
)
def test_mailboxes_are_read_from_what_clients_write(value: str, boxes: list[Mailbox]) -> None:
    assert list(parse_mailboxes(value, 10)) == boxes


def test_an_encoded_name_cannot_bring_in_an_address() -> None:
    # =?...?= holds «boss@bank.ru>, <x@y.ru»
    value = "=?utf-8?Q?boss=40bank=2Eru=3E=2C_=3Cx=40y=2Eru?= <thief@example.ru>"

    (box,) = parse_mailboxes(value, 10)

    assert box.address == "thief@example.ru"


def test_a_line_break_in_an_encoded_name_becomes_a_blank() -> None:
    (box,) = parse_mailboxes("=?utf-8?Q?Ivan=0D=0ABcc:_x?= <ivan@example.ru>", 10)

    assert box.name == "Ivan Bcc: x"


@pytest.mark.parametrize(
    "value", ["a," * 100_000, "(" * 100_000, '"' * 100_001, "a@b@," * 50_000, "<" * 100_000]
)
def test_a_hostile_list_ends_with_what_was_readable(value: str) -> None:
    assert len(parse_mailboxes(value + "ivan@example.ru", 200)) <= 200


def test_no_more_mailboxes_than_the_limit_are_read() -> None:
    assert len(parse_mailboxes(", ".join(f"a{n}@b.ru" for n in range(500)), 200)) == 200


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("ivan@Zavod.RU", "zavod.ru"),
        ("ivan@завод.рф", "xn--80aegj1b.xn--p1ai"),
        ("ivan@gmail.com", None),
        ("ivan@mail.ru", None),
        ("ivan@ya.ru", None),
        ("ivan@rambler.ru", None),
        ("ivan@proton.me", None),
        ("root@localhost", None),
        ("root@[10.0.0.1]", None),
        ("nobody", None),
    ],
)
def test_a_company_is_told_by_a_domain_of_its_own(address: str, domain: str | None) -> None:
    assert company_domain(address) == domain


@pytest.mark.parametrize(
    ("address", "base", "token"),
    [
        ("Support+AbC-12@Example.ru", "support@example.ru", "AbC-12"),
        ("support@example.ru", "support@example.ru", None),
        ("support+@example.ru", "support+@example.ru", None),
        ("+token@example.ru", "+token@example.ru", None),
        ("support+a+b@example.ru", "support@example.ru", "a+b"),
    ],
)
def test_a_plus_address_gives_its_base_and_token(address: str, base: str, token: str | None) -> None:
    assert split_plus_address(address) == (base, token)
