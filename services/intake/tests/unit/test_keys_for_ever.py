"""What messages are known by: the same for ever, or what came before an upgrade would come twice after it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from deskline_intake.domain.dedupe import (
    MailIdentity,
    canonical_body_hash,
    canonical_message_hash,
    identify,
    source_key,
)
from deskline_intake.domain.forms import (
    NAMESPACE,
    Form,
    FormFieldError,
    clean_address,
    clean_key,
    clean_name,
    clean_subject,
    clean_text,
    encoded,
    raw_id_of,
    read_form,
    scope_of,
    source_key_of,
    write_form,
)
from deskline_intake.domain.rates import Rate, recent, wait_for
from deskline_intake.domain.senders import LANES, author_of, lane_of

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


def test_a_mails_identity_is_the_same_for_ever() -> None:
    named = "12436dd79a3899178acf80c126c229a52e3ac9309501871bcb96a10f140a529a"
    nameless = "ddd05be1c281474e46984b3a515e99e0a169aa0272bd3c30414eff1d8cb90692"
    assert identify("line", MAIL) == MailIdentity(named, BODY, "1@zavod.ru", windowed=False)
    assert identify("line", NAMELESS) == MailIdentity(nameless, BODY, None, windowed=True)
    again = "8e046c99acb1b5873d78190621d8c224ab13f301692fd857dd1a35323fb8fad4"
    assert source_key("line", None, NAMELESS, occurrence="2") == again
    content = "b266f0a74511c197dcd2b7100723a2b4a5ddc14e671e6c9839205257f2059ca1"
    assert canonical_message_hash(NAMELESS) == content
    odd = "6e6717d089f2ee2fbae70c32a61c6d95eac64315e32388973af992cf61fa3438"
    assert identify("\ud800", MAIL).source_key == odd


def test_a_mail_is_the_same_with_other_line_ends_and_with_fields_before_its_own() -> None:
    written = b"From: a@b.c\r\nSubject: s\r\n\r\none\r\ntwo\r\n"
    assert canonical_body_hash(written) == canonical_body_hash(written.replace(b"\r\n", b"\n"))
    assert canonical_body_hash(written) == canonical_body_hash(b"Received: from d\r\n" + written)
    assert canonical_body_hash(written) != canonical_body_hash(written.replace(b"From: a", b"From: b"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject: Help", b"Subject: Other"),
        (b"From: ivan", b"From: oleg"),
        (b"Content-Type: text/plain", b"Content-Type: text/html"),
        (b"Encoding: 7bit", b"Encoding: 8bit"),
        (b"<0@zavod.ru>", b"<2@zavod.ru>"),
        (b"Badly.", b"Well."),
        (b"Badly.", b"Badly.X"),
        (b"Badly.", b"Badly.\x0c"),
    ],
)
def test_what_makes_another_mail_of_it(before: bytes, after: bytes) -> None:
    assert identify("line", MAIL.replace(before, after)).body_hash != BODY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Received: from a by b", b"Received: from c by d"),
        (b"10:00:00", b"11:00:00"),
        (b"To: support", b"To: sales"),
        (b"Subject: Help", b"Subject:  Help "),
        (b"\r\n", b"\n"),
        (b"\n\t\r\n", b"\n\n \n\t\n"),
    ],
)
def test_what_makes_no_other_mail_of_it(before: bytes, after: bytes) -> None:
    assert identify("line", MAIL.replace(before, after)).body_hash == BODY


SERVERS = """
arc- x-spam x-arc- x-ms-exchange- x-microsoft-antispam x-forefront- x-eopattributed x-yandex- x-mru-
x-mailru- x-mras x-kas x-klms- x-kse- x-kaspersky x-drweb- x-proofpoint- x-mimecast- x-ironport-
x-barracuda- x-rspamd- x-amavis- x-pmx-
"""


@pytest.mark.parametrize(
    "written",
    [
        *("DKIM-Signature", "X-Spam-Status", "ARC-Seal", "Return-Path", "TLS-Required"),
        *(family + "any" for family in SERVERS.split()),
    ],
)
def test_what_servers_write_is_no_part_of_a_nameless_mail(written: str) -> None:
    assert identify("line", f"{written}: x\r\n".encode() + NAMELESS) == identify("line", NAMELESS)
    other = b"X-Order: 7\r\n" + NAMELESS
    assert identify("line", other).source_key != identify("line", NAMELESS).source_key


def test_a_forms_keys_are_the_same_for_ever() -> None:
    assert UUID("0b7a6c1d-93b8-5e4e-a5a4-64d6bc0f2e35") == NAMESPACE
    key = "1e926b1cf6675631a86993997e1379ab3b4bfc846d344275b27195f422ae7ccd"
    assert source_key_of(LINE, "key") == key
    assert raw_id_of("ab" * 32) == UUID("d4b8417f-ac7e-5268-a649-4f428ce370a7")
    scope = "a5d714fd0fbedb0512cdc9a2d49a173139baf8b5c061df16f38b3fc69855f7d5"
    assert scope_of("address", "a@b").hex() == scope
    form = Form("a@b", "Тема", "Текст", "Имя")
    stored = '{"source_key":"k","address":"a@b","name":"Имя","subject":"Тема","text":"Текст"}'
    assert write_form(form, "k") == stored.encode()
    assert read_form(stored.encode()) == (form, "k")


def test_a_senders_lane_is_the_same_for_ever() -> None:
    assert LANES == 64
    assert [lane_of(LINE, author) for author in (None, "", "a@b", "c@d", "\ud800")] == [25, 25, 14, 58, 54]


@pytest.mark.parametrize(
    ("head", "author"),
    [
        (b"Subject: x\r\nFrom: A <A@B.C>\r\n", "a@b.c"),
        (b"Subject: x\rFrom: a@b.c\r", "a@b.c"),
        (b"From: a@b.c, d@e.f\n", "a@b.c"),
        (b"From: nobody\n", None),
        (b"", None),
    ],
)
def test_who_wrote_a_mail(head: bytes, author: str | None) -> None:
    assert author_of(head) == author


# Forms


@pytest.mark.parametrize(
    ("clean", "given", "cleaned"),
    [
        (clean_key, "!~" * 100, "!~" * 100),
        (clean_name, " Ann\r\n Smith ", "Ann Smith"),
        (clean_name, "", ""),
        (clean_name, "x" * 100, "x" * 100),
        (clean_subject, "x" * 200, "x" * 200),
        (clean_address, " A@B.C", "a@b.c"),
        (clean_text, " a\r\nb\rc\u2028d\u2029e\x85f\x07\t ", "a\nb\nc\nd\ne\nf"),
        (clean_text, "я" * 32_768, "я" * 32_768),
    ],
)
def test_what_a_form_may_hold(clean: Any, given: str, cleaned: str) -> None:
    assert clean(given) == cleaned


@pytest.mark.parametrize(
    ("clean", "given", "reason"),
    [
        (clean_key, "", "has 1 to 200 visible ASCII characters"),
        (clean_key, "x" * 201, "has 1 to 200 visible ASCII characters"),
        (clean_key, "a b", "has 1 to 200 visible ASCII characters"),
        (clean_key, "a\n", "has 1 to 200 visible ASCII characters"),
        (clean_name, "x" * 101, "has over 100 characters"),
        (clean_name, "\ud800", "holds half of a surrogate pair"),
        (clean_subject, "x" * 201, "has over 200 characters"),
        (clean_subject, " \x00 ", "is empty"),
        (clean_address, "nobody", "is no mail address"),
        (clean_address, f"{' ' * 250}a@b.c", "is no mail address"),
        (clean_address, "a\u200b@b.c", "is no mail address"),
        (clean_text, " \n\x00", "is empty"),
        (clean_text, "я" * 32_768 + "x", "has over 65536 bytes"),
        (clean_text, "\udfff", "holds half of a surrogate pair"),
        (encoded, "\udfff", "holds half of a surrogate pair"),
    ],
)
def test_what_a_form_may_not_hold(clean: Any, given: str, reason: str) -> None:
    with pytest.raises(FormFieldError) as refused:
        clean(given)
    assert str(refused.value) == reason
    assert refused.value.safe_message is True


def test_an_address_of_a_form_has_room_for_the_longest() -> None:
    longest = f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.{'c' * 6}"
    assert len(longest) == 254
    assert clean_address(longest) == longest
    with pytest.raises(FormFieldError):
        clean_address(longest + "c")
    # Within the limit as it was typed, and over it in punycode.
    with pytest.raises(FormFieldError):
        clean_address(f"{'a' * 60}@{'.'.join(['я' * 30] * 6)}.c")


def test_a_name_is_told_with_the_text() -> None:
    assert Form("a@b", "s", "t", "Ann").signed_text == "t\n\n— Ann"
    assert Form("a@b", "s", "t").signed_text == "t"


# Rates


def test_never_more_than_so_often_in_any_window() -> None:
    rate = Rate(2, timedelta(seconds=10))
    hits = [NOW - timedelta(seconds=age) for age in (1, 10, 4, 9.999)]
    assert recent(hits, NOW, rate) == [hits[0], hits[2], hits[3]]
    assert wait_for(hits, NOW, rate) == timedelta(seconds=6)
    assert wait_for(hits[:1], NOW, rate) == timedelta()
    assert wait_for(hits[1:2], NOW, rate) == timedelta()
    assert wait_for([NOW, NOW], NOW, rate) == timedelta(seconds=10)
