"""Records of a topic: what is read of them, and why one is not, without a word of what it holds."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pydantic import BaseModel, ValidationError

from deskline_chassis.decoding import (
    MAX_NUMBER,
    UNKNOWN_TYPE,
    Received,
    Record,
    UnreadableError,
    cause_of,
    header_pairs,
    headers_from,
    parse,
    persons_of,
    read_envelope,
    to_fact,
)
from deskline_chassis.event_log import Cause
from deskline_chassis.personal_data import MissingKeyError, PersonKey, SealError, seal
from deskline_events.envelope import Envelope
from deskline_events.intake import CompanyRegistered, ContactRegistered

pytestmark = pytest.mark.unit

EVENT, SUBJECT, STORY, ANN = (UUID(int=number) for number in range(1, 5))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
FACT = ContactRegistered(contact_id=ANN, address=None, name=None, locale="en")
KEYS = {ANN: PersonKey(1, bytes(32))}


def envelope(**more: Any) -> Envelope:
    fields: dict[str, Any] = {
        "id": EVENT,
        "source": "/deskline/intake",
        "type": ContactRegistered.TYPE,
        "time": NOW,
        "subject": SUBJECT,
        "sequence": 3,
        "correlation_id": STORY,
        "causation_id": None,
        "epoch": 4,
        "generation": 5,
    }
    return Envelope(**(fields | more))


def record(value: bytes | None = b"{}", headers: Any = None, **more: Any) -> Record:
    given = tuple(envelope(**more).headers()) if headers is None else tuple(headers)
    return Record("deskline.intake.events", 2, 9, b"key", value, given)


def why(call: Any, *given: Any) -> str:
    with pytest.raises(UnreadableError) as refused:
        call(*given)
    assert refused.value.safe_message is True
    return str(refused.value)


# Headers


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"7", 7),
        (b"1", 1),
        (str(MAX_NUMBER).encode(), 2_147_483_647),
        (str(MAX_NUMBER + 1).encode(), 42),
        (b"0", 42),
        (b"-1", 42),
        (b"x", 42),
        (b"", 42),
        (None, 42),
    ],
)
def test_a_number_in_a_header_or_what_stands_for_it(value: bytes | None, number: int) -> None:
    found = record(headers=[("other", b"9"), ("n", value), ("n", b"8")])
    assert found.number("n", 42) == number
    assert found.number("missing", 42) == 42


def test_where_a_record_stands_and_of_which_life_it_is() -> None:
    found = record()
    assert (found.place, found.epoch, found.generation) == (("deskline.intake.events", 2), 4, 5)
    bare = record(headers=[])
    assert (bare.epoch, bare.generation) == (0, 1)
    assert found.is_from("intake")
    assert not found.is_from("tickets")
    assert not bare.is_from("intake")
    cause = Cause(STORY, EVENT, None)
    received = Received(envelope(), FACT, cause)
    assert received.place == ("", 0)


def test_an_envelope_is_read() -> None:
    assert read_envelope(record(), "intake") == envelope()
    most: dict[str, Any] = {"sequence": MAX_NUMBER, "epoch": MAX_NUMBER, "generation": MAX_NUMBER}
    assert read_envelope(record(**most), "intake") == envelope(**most)


@pytest.mark.parametrize("number", ["sequence", "epoch", "generation"])
def test_a_number_out_of_range_is_nothing_of_ours(number: str) -> None:
    beyond: dict[str, Any] = {number: MAX_NUMBER + 1}
    found = record(**beyond)
    assert why(read_envelope, found, "intake") == "a number in its headers is out of range"


def test_what_is_no_envelope_or_anothers_says_so() -> None:
    assert why(read_envelope, record(), "tickets") == "its source is not the owner of deskline.intake.events"
    assert why(read_envelope, record(headers=[]), "intake") == "ce_specversion is not 1.0"
    headers = [pair for pair in envelope().headers() if pair[0] != "ce_id"]
    assert why(read_envelope, record(headers=headers), "intake") == "ce_id is missing"


# Data


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "its data is not JSON"),
        (b"", "its data is not JSON"),
        (b"{", "its data is not JSON"),
        (b"[]", "its data is not an object"),
        (b'"text"', "its data is not an object"),
    ],
)
def test_data_that_is_no_object_is_refused(value: bytes | None, sentence: str) -> None:
    assert why(parse, envelope(), record(value)) == sentence


def test_data_of_a_known_type_is_read_and_of_another_refused() -> None:
    assert parse(envelope(), record(b'{"a": [1]}')) == {"a": [1]}
    assert why(parse, envelope(type="deskline.intake.Unheard.v1"), record()) == UNKNOWN_TYPE
    assert UNKNOWN_TYPE == "unknown type or newer version"


def contact(**more: Any) -> dict[str, Any]:
    return {"contact_id": str(ANN), "address": "ann@client.example", "name": None, "locale": "en"} | more


def sealed() -> dict[str, Any]:
    data = contact()
    seal(ContactRegistered, data, EVENT, KEYS)
    return data


def test_whose_keys_are_needed() -> None:
    assert persons_of(envelope(), sealed()) == {ANN}
    assert persons_of(envelope(), contact(address=None)) == set()
    assert persons_of(envelope(), contact()) == set()
    assert persons_of(envelope(type=CompanyRegistered.TYPE), {"anything": []}) == set()


@pytest.mark.parametrize("address", [{}, {"k": "x"}, {"k": None}])
def test_personal_fields_of_another_shape_are_refused(address: Any) -> None:
    assert why(persons_of, envelope(), contact(address=address)) == "its personal fields have another shape"


def test_a_fact_is_opened_and_read() -> None:
    fact = to_fact(envelope(), sealed(), KEYS)
    assert fact == ContactRegistered(contact_id=ANN, address="ann@client.example", name=None, locale="en")


def test_a_fact_that_cannot_be_read_says_why_without_its_words() -> None:
    wrong = sealed() | {"locale": "canary", "contact_id": "canary"}
    sentence = why(to_fact, envelope(), wrong, KEYS)
    assert sentence == "ValidationError: contact_id uuid_parsing, locale literal_error"
    assert why(to_fact, envelope(), [], KEYS) == "its personal fields have another shape"
    with pytest.raises(MissingKeyError):
        to_fact(envelope(), sealed(), {})
    with pytest.raises(SealError):
        to_fact(envelope(), contact(), KEYS)
    with pytest.raises(SealError):
        to_fact(envelope(id=STORY), sealed(), KEYS)


# Causes


class SafeError(Exception):
    safe_message = True


def test_a_cause_names_the_error_and_only_what_is_safe() -> None:
    assert cause_of(RuntimeError("canary")) == "RuntimeError"
    assert cause_of(SafeError("said")) == "SafeError: said"
    assert cause_of(psycopg.errors.UniqueViolation("canary")) == "UniqueViolation 23505"
    with pytest.raises(ValidationError) as refused:
        CompanyRegistered.model_validate({})
    assert cause_of(refused.value).startswith("ValidationError: company_id missing, ")


def test_of_many_errors_five_are_named() -> None:
    class Wide(BaseModel):
        a: int
        b: int
        c: int
        d: int
        e: int
        f: int

    class Deep(BaseModel):
        inner: Wide

    with pytest.raises(ValidationError) as nested:
        Deep.model_validate({"inner": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}})
    assert cause_of(nested.value) == "ValidationError: inner.f missing"
    with pytest.raises(ValidationError) as refused:
        Wide.model_validate({"a": {"deep": 1}})
    assert cause_of(refused.value) == (
        "ValidationError: a int_type, b missing, c missing, d missing, e missing"
    )


def test_headers_survive_their_keeping() -> None:
    headers = (("a", bytes(range(256))), ("b", b""), ("a", b"again"))
    assert headers_from(header_pairs(record(headers=headers))) == headers
    none: Any = [("n", None)]
    assert headers_from(header_pairs(record(headers=none))) == (("n", b""),)
    assert header_pairs(record(headers=[("n", b"\xff")])) == '[["n","ÿ"]]'.encode()
