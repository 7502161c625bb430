"""What a form may hold, what is cleaned of it, and how often it may come."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_intake.domain.forms import (
    SUBJECT_CHARS,
    TEXT_BYTES,
    Form,
    FormFieldError,
    clean_address,
    clean_key,
    clean_name,
    clean_subject,
    clean_text,
    raw_id_of,
    read_form,
    source_key_of,
    write_form,
)
from deskline_intake.domain.rates import Rate, recent, wait_for
from deskline_intake.domain.senders import author_of, lane_of
from deskline_intake.parser import Order, nothing_read, read_form_message, read_mail, sender_of

pytestmark = pytest.mark.unit

LINE = UUID(int=7)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
FORM = Form("anna@client.example", "Вопрос", "Текст", "Анна")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("один\r\nдва\rтри", "один\nдва\nтри"),
        ("  \n текст \n", "текст"),
        ("a\x00b\x1b[2Jc\x7f\x85d", "ab[2Jc\nd"),
        ("столбец\tстолбец", "столбец\tстолбец"),
        ("\u202eabc\u2066\ufeff", "abc"),
        ("a\u2028b", "a\nb"),
        ("👩‍👩‍👧 — «ёж»", "👩‍👩‍👧 — «ёж»"),
    ],
)
def test_text_keeps_what_a_person_types(typed: str, kept: str) -> None:
    assert clean_text(typed) == kept


def test_subject_and_name_are_one_line() -> None:
    assert clean_subject("Счёт\r\nBcc: all@desk.example") == "Счёт Bcc: all@desk.example"
    assert clean_name(" Анна\u2028Иванова\x00 ") == "Анна Иванова"
    assert clean_name("\n") == ""


@pytest.mark.parametrize("empty", ["", " ", "\r\n", "\x00\x01", "\u202e"])
def test_subject_and_text_are_not_empty(empty: str) -> None:
    for clean in (clean_subject, clean_text):
        with pytest.raises(FormFieldError):
            clean(empty)


def test_text_is_measured_in_bytes() -> None:
    assert len(clean_text("я" * (TEXT_BYTES // 2))) == TEXT_BYTES // 2
    for long in ("я" * (TEXT_BYTES // 2) + "a", "a" * (TEXT_BYTES + 1)):
        with pytest.raises(FormFieldError):
            clean_text(long)
    with pytest.raises(FormFieldError):
        clean_subject("я" * (SUBJECT_CHARS + 1))


def test_half_of_a_surrogate_pair_is_refused() -> None:
    for clean in (clean_subject, clean_text, clean_name):
        with pytest.raises(FormFieldError):
            clean("a\ud800b")
    with pytest.raises(FormFieldError):
        clean_address("a\ud800@client.example")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "anna@",
        "@client.example",
        "anna@client.example\nBcc: x@y.example",
        "anna@client.example, eva@client.example",
        "Анна <anna@client.example>",
        "anna@cli ent.example",
        "anna\u202e@client.example",
        "a" * 65 + "@client.example",
        "anna@" + "a." * 125 + "example",
    ],
)
def test_address_is_one_address(address: str) -> None:
    with pytest.raises(FormFieldError):
        clean_address(address)


def test_equal_addresses_are_equal() -> None:
    assert clean_address(" Anna@Client.EXAMPLE ") == "anna@client.example"
    assert clean_address("анна@пример.рф") == "анна@xn--e1afmkfd.xn--p1ai"


@pytest.mark.parametrize("key", ["", " ", "a b", "ключ", "a\n", "k" * 201])
def test_a_clients_key_is_visible_ascii(key: str) -> None:
    with pytest.raises(FormFieldError):
        clean_key(key)


def test_a_key_leads_to_one_message_on_its_line() -> None:
    first = source_key_of(LINE, "k")
    assert raw_id_of(first) == raw_id_of(source_key_of(LINE, "k"))
    assert raw_id_of(first) != raw_id_of(source_key_of(LINE, "K"))
    assert raw_id_of(first) != raw_id_of(source_key_of(UUID(int=8), "k"))
    # These two never change: repeated requests would be taken for new ones.
    assert first == "6ec2bf481f26eb455aac1db32433a99acf069d8dc37950b632726cd2d77ac5cf"
    assert str(raw_id_of(first)) == "c3394847-dc5f-5616-9e8a-461d02158e0c"


def test_a_form_is_stored_and_read_as_it_was() -> None:
    raw = write_form(FORM, "f" * 64)
    assert read_form(raw) == (FORM, "f" * 64)
    assert write_form(FORM, "f" * 64) == raw
    for broken in (b"", b"{}", b"[]", b"null", b"\xff", json.dumps({"address": "a"}).encode()):
        with pytest.raises((ValueError, KeyError, TypeError)):
            read_form(broken)


@given(st.text(), st.text(max_size=50), st.text(max_size=50))
def test_whatever_is_taken_can_be_stored_and_read_again(text: str, subject: str, name: str) -> None:
    try:
        form = Form("a@b.example", clean_subject(subject), clean_text(text), clean_name(name))
    except FormFieldError:
        return
    assert read_form(write_form(form, "0" * 64))[0] == form
    assert clean_text(form.text) == form.text
    assert clean_subject(form.subject) == form.subject
    assert "\x00" not in form.signed_text
    assert "\n" not in form.subject + form.name


def test_a_typed_name_signs_the_text_and_names_nobody() -> None:
    reading = read_form_message(write_form(FORM, "f" * 64))
    assert (reading.text, reading.reply) == ("Текст\n\n— Анна", "Текст")
    assert (reading.sender, reading.sender_name) == ("anna@client.example", "")
    assert (reading.kind, reading.language) == ("human", "ru")
    assert (reading.references, reading.message_id, reading.problems) == ((), None, ())
    assert reading.identity.source_key == "f" * 64


MAILS = (
    b"From: =?utf-8?q?x?= <Anna@Client.example>\r\n\r\nx",
    b"Subject: no one\r\n\r\nx",
    b"From: nobody\rTo: x\r\rbody",
    b"From: a@x.example, b@x.example\r\n\r\n",
    b"",
)


@pytest.mark.parametrize("raw", MAILS, ids=range(len(MAILS)))
@pytest.mark.parametrize("envelope", ["Eva@client.example", "", None])
def test_an_erasure_tells_a_sender_as_the_parser_does(raw: bytes, envelope: str | None) -> None:
    read = read_mail(raw, Order(str(LINE), "x", envelope, ()))
    assert sender_of(raw, envelope, form=False) == read.sender


def test_an_erasure_tells_who_filled_a_form() -> None:
    assert sender_of(write_form(FORM, "f" * 64), None, form=True) == "anna@client.example"
    assert sender_of(b"From: a@b.example\r\n\r\n", None, form=True) is None


def test_lanes_are_equal_for_equal_senders() -> None:
    assert lane_of(LINE, author_of(MAILS[0])) == lane_of(LINE, "anna@client.example")
    assert 0 <= lane_of(LINE, None) < 64


def test_nothing_read_has_no_problem_by_itself() -> None:
    identity = read_form_message(write_form(FORM, "f" * 64)).identity
    assert nothing_read(identity).problems == ()
    assert nothing_read(identity, "person_erased").problems == ("person_erased",)


@given(
    st.lists(st.integers(0, 40), max_size=120),
    st.integers(1, 6),
    st.integers(1, 60),
)
def test_never_more_than_the_limit_in_any_window(gaps: list[int], limit: int, seconds: int) -> None:
    rate = Rate(limit, timedelta(seconds=seconds))
    hits: list[datetime] = []
    accepted: list[datetime] = []
    refused: list[tuple[datetime, timedelta]] = []
    now = NOW
    for gap in gaps:
        now += timedelta(seconds=gap)
        wait = wait_for(hits, now, rate)
        if wait:
            refused.append((now, wait))
            continue
        hits = [*recent(hits, now, rate), now]
        accepted.append(now)
    for start in accepted:
        within = [hit for hit in accepted if start <= hit < start + rate.window]
        assert len(within) <= limit
    assert len(hits) <= limit, "what is kept does not grow"
    for at, wait in refused:
        full = [hit for hit in accepted if at - rate.window < hit <= at]
        assert len(full) == limit, "none is refused that might have come"
        assert wait == min(full) + rate.window - at
        assert timedelta() < wait <= rate.window


def test_the_first_is_never_refused() -> None:
    assert wait_for((), NOW, Rate(1, timedelta(seconds=1))) == timedelta()
    once = Rate(1, timedelta(seconds=10))
    assert wait_for([NOW], NOW + timedelta(seconds=9), once) == timedelta(seconds=1)
    assert wait_for([NOW], NOW + timedelta(seconds=10), once) == timedelta()
