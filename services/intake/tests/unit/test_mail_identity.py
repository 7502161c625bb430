"""The same mail delivered twice is one; another mail is another, whatever it calls itself."""

import pytest

from deskline_intake.domain.dedupe import canonical_body_hash, canonical_message_hash, identify, source_key

pytestmark = pytest.mark.unit

MAIL = (
    b"Received: from a by b; Mon, 15 Jan 2024 10:00:00 +0300\r\n"
    b"From: ivan@zavod.ru\r\n"
    b"To: support@example.ru\r\n"
    b"Date: Mon, 15 Jan 2024 10:00:00 +0300\r\n"
    b"Subject: Help\r\n"
    b"Message-ID: <1@zavod.ru>\r\n"
    b"\r\n"
    b"It broke.\r\n"
)
NAMELESS = MAIL.replace(b"Message-ID: <1@zavod.ru>\r\n", b"")


def test_a_mail_delivered_twice_has_one_key() -> None:
    again = (
        b"Return-Path: <ivan@zavod.ru>\nDelivered-To: support@example.ru\n"
        b"Received: from x by y\n\tid 42; Mon, 15 Jan 2024 10:05:00 +0300\n"
        b"ARC-Seal: i=1; a=rsa-sha256\nX-Spam-Status: No\nX-Unheard-Of-Relay: 1\n"
        b"DKIM-Signature: v=1;\n b=abc\nAuthentication-Results: mx; spf=pass\n"
    ) + MAIL.replace(b"\r\n", b"\n")

    assert identify("line", MAIL) == identify("line", again + b"\n\n")


def test_a_refolded_header_changes_nothing() -> None:
    long = MAIL.replace(b"Subject: Help", b"Subject: Help me with this")
    folded = MAIL.replace(b"Subject: Help", b"Subject: Help me\r\n\twith this")

    assert canonical_body_hash(long) == canonical_body_hash(folded)


@pytest.mark.parametrize(
    ("what", "other"),
    [
        (b"It broke.", b"It works."),
        (b"From: ivan@zavod.ru", b"From: thief@zavod.ru"),
        (b"Subject: Help", b"Subject: Other"),
    ],
)
def test_the_same_message_id_on_another_mail_is_kept_and_seen(what: bytes, other: bytes) -> None:
    first, second = identify("line", MAIL), identify("line", MAIL.replace(what, other))

    assert first.source_key != second.source_key
    assert first.message_id == second.message_id == "1@zavod.ru"


def test_one_mail_to_two_lines_has_two_keys() -> None:
    assert identify("sales", MAIL).source_key != identify("support", MAIL).source_key


def test_without_message_id_the_date_tells_two_alarms_apart() -> None:
    later = NAMELESS.replace(
        b"15 Jan 2024 10:00:00 +0300\r\nSubject", b"15 Jan 2024 11:00:00 +0300\r\nSubject"
    )

    first, second = identify("line", NAMELESS), identify("line", later)

    assert first.windowed
    assert first.message_id is None
    assert first.source_key != second.source_key
    assert canonical_body_hash(NAMELESS) == canonical_body_hash(later)


def test_without_message_id_transport_headers_count_for_nothing() -> None:
    again = b"Received: by elsewhere\r\nX-MS-Exchange-Organization-SCL: 1\r\nX-Spam-Score: 5\r\n" + NAMELESS

    assert canonical_message_hash(NAMELESS) == canonical_message_hash(again)
    assert identify("line", NAMELESS).source_key == identify("line", again).source_key


def test_after_its_window_the_same_nameless_mail_gets_another_key() -> None:
    assert source_key("line", None, NAMELESS) != source_key("line", None, NAMELESS, occurrence="2")


def test_the_key_is_the_same_whether_the_message_id_is_given_or_read() -> None:
    identity = identify("line", MAIL)

    assert identity.source_key == source_key("line", "1@zavod.ru", MAIL)
    assert identify("line", NAMELESS).source_key == source_key("line", None, NAMELESS)
    assert len(identity.source_key) == 64


def test_parts_of_a_key_cannot_run_into_one_another() -> None:
    assert source_key("ab", "c", MAIL) != source_key("a", "bc", MAIL)


def test_an_empty_message_id_is_none() -> None:
    assert identify("line", MAIL.replace(b"<1@zavod.ru>", b"<>")).windowed
