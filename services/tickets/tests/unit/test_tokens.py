"""Reply tokens and own Message-IDs: what comes back verifies, what was changed does not."""

import string
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskline_tickets.domain.tokens import (
    issue_reply_token,
    message_id_hash,
    own_message_id,
    ticket_number_in,
    verify_own_message_id,
    verify_reply_token,
)

pytestmark = pytest.mark.unit

KEY = b"k" * 32
TICKET = UUID("8c7f3f6e-9a3b-4b8e-8d55-0d1f6a4c2b10")
EVENT = UUID("018f6d0c-1111-7222-8333-944455556666")
ALPHABET = string.ascii_lowercase + "234567"


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
    assert verify_own_message_id(b"other", own_message_id(KEY, TICKET, EVENT, "desk.example")) is None


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


def test_a_message_id_with_any_bit_flipped_is_refused() -> None:
    local, _, domain = own_message_id(KEY, TICKET, EVENT, "desk.example").strip("<>").partition("@")
    for bit in range(len(local) * 8):
        flipped = bytearray(local.encode())
        flipped[bit // 8] ^= 1 << bit % 8
        text = flipped.decode("latin-1")
        if text.lower() != local:
            assert verify_own_message_id(KEY, f"<{text}@{domain}>") is None


@given(st.text(max_size=500))
@settings(deadline=None)
def test_no_text_breaks_the_verification(text: str) -> None:
    assert verify_reply_token(KEY, text) is None
    assert verify_own_message_id(KEY, text) is None
    assert verify_own_message_id(KEY, f"<{text}@x>") is None
    message_id_hash(TICKET, text)


def test_a_token_is_no_message_id_and_the_other_way_round() -> None:
    token = issue_reply_token(KEY, TICKET)
    assert verify_own_message_id(KEY, f"<{token}@desk.example>") is None
    local = own_message_id(KEY, TICKET, EVENT, "desk.example").strip("<>").partition("@")[0]
    assert verify_reply_token(KEY, local) is None


def test_our_message_id_leads_to_its_ticket() -> None:
    ours = own_message_id(KEY, TICKET, EVENT, "desk.example")
    assert ours.startswith("<")
    assert ours.endswith("@desk.example>")
    assert verify_own_message_id(KEY, ours) == TICKET
    assert verify_own_message_id(KEY, ours.strip("<>")) == TICKET
    assert verify_own_message_id(KEY, ours, {"desk.example"}) == TICKET
    assert verify_own_message_id(KEY, ours, {"elsewhere.example"}) is None


def test_two_events_of_a_ticket_have_two_message_ids() -> None:
    made = {own_message_id(KEY, TICKET, uuid4(), "desk.example") for _ in range(100)}
    assert len(made) == 100


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
