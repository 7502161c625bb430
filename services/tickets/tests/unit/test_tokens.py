"""Reply tokens, alone and in our Message-IDs: what comes back verifies, what was changed does not."""

import string
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskline_tickets.domain.tokens import (
    issue_reply_token,
    message_id_hash,
    ticket_number_in,
    ticket_of_message_id,
    verify_reply_token,
)

pytestmark = pytest.mark.unit

KEY = b"k" * 32
TICKET = UUID("8c7f3f6e-9a3b-4b8e-8d55-0d1f6a4c2b10")
ALPHABET = string.ascii_lowercase + "234567"
NOTIFICATION = "mzxw6ytboi2dgnbvgy3tqojqmf"


def ours(name: str = NOTIFICATION, domain: str = "desk.example") -> str:
    """A Message-ID as notify makes it."""
    return f"<{name}.{issue_reply_token(KEY, TICKET)}@{domain}>"


def test_a_token_is_the_same_for_ever() -> None:
    assert issue_reply_token(KEY, TICKET) == "rr7t63u2hnfy5dkvbupwutblcdgneudnnfqofmmrky"


@given(st.uuids(), st.binary(min_size=16, max_size=64))
@settings(deadline=None)
def test_a_token_leads_to_its_ticket_in_any_case(ticket: UUID, key: bytes) -> None:
    token = issue_reply_token(key, ticket)
    assert len(token) == 42
    assert set(token) <= set(ALPHABET)
    assert verify_reply_token(key, token) == ticket
    assert verify_reply_token(key, token.upper()) == ticket


def test_another_key_verifies_nothing() -> None:
    assert verify_reply_token(b"other", issue_reply_token(KEY, TICKET)) is None
    assert ticket_of_message_id(b"other", ours()) is None


def test_a_token_with_any_character_changed_is_refused() -> None:
    token = issue_reply_token(KEY, TICKET)
    for place in range(len(token)):
        for other in ALPHABET:
            changed = token[:place] + other + token[place + 1 :]
            assert verify_reply_token(KEY, changed) == (TICKET if changed == token else None)


def test_a_token_with_any_bit_flipped_is_refused() -> None:
    token = issue_reply_token(KEY, TICKET).encode()
    for bit in range(len(token) * 8):
        flipped = bytearray(token)
        flipped[bit // 8] ^= 1 << bit % 8
        text = flipped.decode("latin-1")
        if text.lower() != token.decode():
            assert verify_reply_token(KEY, text) is None


def test_a_message_id_whose_token_has_any_bit_flipped_is_refused() -> None:
    token = issue_reply_token(KEY, TICKET)
    for bit in range(len(token) * 8):
        flipped = bytearray(token.encode())
        flipped[bit // 8] ^= 1 << bit % 8
        text = flipped.decode("latin-1")
        if text.lower() != token:
            assert ticket_of_message_id(KEY, f"<{NOTIFICATION}.{text}@desk.example>") is None


@given(st.text(max_size=500))
@settings(deadline=None)
def test_no_text_breaks_the_verification(text: str) -> None:
    assert verify_reply_token(KEY, text) is None
    assert ticket_of_message_id(KEY, text) is None
    assert ticket_of_message_id(KEY, f"<{text}@x>") is None
    message_id_hash(TICKET, text)


def test_our_message_id_leads_to_its_ticket_whatever_stands_before_the_token() -> None:
    for name in (NOTIFICATION, "a", "two.parts"):
        assert ticket_of_message_id(KEY, ours(name)) == TICKET
        assert ticket_of_message_id(KEY, ours(name).strip("<>")) == TICKET
        assert ticket_of_message_id(KEY, ours(name).upper()) == TICKET


def test_a_token_without_a_name_before_it_or_a_domain_after_it_is_no_message_id() -> None:
    token = issue_reply_token(KEY, TICKET)
    for text in (token, f"<{token}>", f"<{token}@desk.example>", f"<.{token}@desk.example>", f"x.{token}"):
        assert ticket_of_message_id(KEY, text) is None
    assert verify_reply_token(KEY, f"{NOTIFICATION}.{token}") is None


def test_where_domains_are_named_only_theirs_are_ours() -> None:
    assert ticket_of_message_id(KEY, ours(), {"desk.example"}) == TICKET
    assert ticket_of_message_id(KEY, ours(domain="DESK.example"), {"desk.example"}) == TICKET
    assert ticket_of_message_id(KEY, ours(), {"elsewhere.example"}) is None
    assert ticket_of_message_id(KEY, ours(domain="x@desk.example"), {"desk.example"}) is None


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Re: [#123] Принтер", 123),
        ("[#1][#2]", 1),
        ("#123", None),
        ("[123]", None),
        ("[#0]", None),
        ("[#007]", None),
        ("[# 5]", None),
        ("[#١٢]", None),
        ("[#" + "9" * 18 + "]", 10**18 - 1),
        ("[#" + "9" * 19 + "]", None),
        ("", None),
    ],
)
def test_only_a_bracketed_number_is_a_ticket_number(subject: str, number: int | None) -> None:
    assert ticket_number_in(subject) == number


def test_a_message_id_is_hashed_per_line_without_its_brackets() -> None:
    one, other = UUID(int=1), UUID(int=2)
    assert message_id_hash(one, "<a@b>") == message_id_hash(one, " a@b ")
    assert message_id_hash(one, "<a@b>") != message_id_hash(other, "<a@b>")
    assert message_id_hash(one, "<a@b>") != message_id_hash(one, "<A@b>")
    assert len(message_id_hash(one, "<a@b>")) == 32
