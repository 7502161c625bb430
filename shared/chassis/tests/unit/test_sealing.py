"""Personal fields: sealed for one event and one place in it, opened under the person's key, or "erased"."""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from deskline_chassis.personal_data import (
    KeyRing,
    MissingKeyError,
    PersonErasedError,
    PersonKey,
    SealError,
    seal,
    unseal,
    wrapped_of,
)
from deskline_events.facts import Fact, Value
from deskline_events.keys import PersonKeys
from deskline_events.personal import Personal

pytestmark = pytest.mark.unit

ANN, BOB, EVENT, OTHER = (UUID(int=number) for number in range(1, 5))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = bytes(range(32))
KEYS = {ANN: PersonKey(3, KEY)}


class Line(Value):
    text: Annotated[str, Personal("person_id")]


class Said(Fact):
    """An event with a personal field of its own, one in a list, and others that are nobody's."""

    TYPE: ClassVar[str] = "test.Said.v1"

    person_id: UUID
    subject: Annotated[str | None, Personal("person_id")] = None
    lines: tuple[Line, ...] = ()
    number: int = 0


class Counted(Fact):
    """An event without anything personal."""

    TYPE: ClassVar[str] = "test.Counted.v1"

    number: int


def said(**more: Any) -> dict[str, Any]:
    return {
        "person_id": str(ANN),
        "subject": "Привет",
        "lines": [{"text": "one"}, {"text": "two"}],
        "number": 7,
    } | more


def sealed(**more: Any) -> dict[str, Any]:
    data = said(**more)
    seal(Said, data, EVENT, KEYS)
    return data


def test_what_is_sealed_is_under_key_version_and_nonce_and_nothing_else_changes() -> None:
    data = sealed()
    assert (data["person_id"], data["number"]) == (str(ANN), 7)
    for field in (data["subject"], *(line["text"] for line in data["lines"])):
        assert set(field) == {"k", "v", "c"}
        assert (field["k"], field["v"]) == (str(ANN), 3)
    assert sealed()["subject"]["c"] != data["subject"]["c"]


def test_the_form_is_the_released_one() -> None:
    raw = base64.b64decode(sealed()["subject"]["c"], validate=True)
    nonce, body = raw[:12], raw[12:]
    assert AESGCM(KEY).decrypt(nonce, body, f"{EVENT}/subject".encode()).decode() == "Привет"
    second = base64.b64decode(sealed()["lines"][1]["text"]["c"], validate=True)
    assert AESGCM(KEY).decrypt(second[:12], second[12:], f"{EVENT}/lines.1.text".encode()) == b"two"


def test_what_was_sealed_opens_again() -> None:
    data = sealed()
    unseal(Said, data, EVENT, KEYS)
    assert data == said()
    nothing = sealed(subject=None, lines=[])
    assert nothing == said(subject=None, lines=[])
    unseal(Said, nothing, EVENT, {})
    assert nothing == said(subject=None, lines=[])


def test_an_event_without_personal_fields_needs_no_key() -> None:
    data = {"number": 7}
    seal(Counted, data, EVENT, {})
    unseal(Counted, data, EVENT, {})
    assert data == {"number": 7}


def test_another_event_another_place_and_another_key_open_nothing() -> None:
    sentence = f"^subject does not open under the key of {ANN}$"
    with pytest.raises(SealError, match=sentence):
        unseal(Said, sealed(), OTHER, KEYS)
    with pytest.raises(SealError, match=sentence):
        unseal(Said, sealed(), EVENT, {ANN: PersonKey(3, bytes(32))})
    moved = sealed()
    moved["lines"][0], moved["lines"][1] = moved["lines"][1], moved["lines"][0]
    with pytest.raises(SealError, match=r"^lines.0.text does not open"):
        unseal(Said, moved, EVENT, KEYS)


@pytest.mark.parametrize(
    "field",
    [
        "clear",
        7,
        {},
        {"k": str(ANN)},
        {"k": "x", "c": ""},
        {"k": str(ANN), "c": "*"},
        {"k": 7, "c": ""},
        ["k"],
    ],
)
def test_what_is_no_sealed_field_is_refused(field: Any) -> None:
    with pytest.raises(SealError, match=r"^subject is not a sealed field$"):
        unseal(Said, said(subject=field, lines=[]), EVENT, KEYS)


@pytest.mark.parametrize(
    "cipher", ["", base64.b64encode(bytes(12)).decode(), base64.b64encode(bytes(40)).decode()]
)
def test_what_is_too_short_or_made_up_does_not_open(cipher: str) -> None:
    with pytest.raises(SealError, match=r"^subject does not open"):
        unseal(Said, said(subject={"k": str(ANN), "v": 1, "c": cipher}, lines=[]), EVENT, KEYS)


def test_a_person_whose_key_is_not_here_is_named() -> None:
    with pytest.raises(MissingKeyError) as missing:
        seal(Said, said(), EVENT, {})
    assert (missing.value.subject, str(missing.value)) == (ANN, f"no key of person {ANN}")
    with pytest.raises(MissingKeyError) as missing:
        unseal(Said, sealed(), EVENT, {BOB: PersonKey(1, KEY)})
    assert missing.value.subject == ANN
    # What they have in common with others, a log may say.
    assert MissingKeyError.safe_message is SealError.safe_message is PersonErasedError.safe_message is True


def test_nothing_is_written_of_an_erased_person_and_theirs_reads_as_erased() -> None:
    erased = {ANN: PersonKey(0, None, NOW)}
    with pytest.raises(PersonErasedError, match=f"^person {ANN} was erased$"):
        seal(Said, said(), EVENT, erased)
    data = sealed()
    unseal(Said, data, EVENT, erased)
    assert data == said(subject="erased", lines=[{"text": "erased"}, {"text": "erased"}])


def test_a_damaged_key_is_no_erasure() -> None:
    damaged = {ANN: PersonKey(1, None)}
    sentence = f"^the key of {ANN} is damaged, or wrapped under another key-encryption key$"
    with pytest.raises(SealError, match=sentence):
        seal(Said, said(), EVENT, damaged)
    with pytest.raises(SealError, match=sentence):
        unseal(Said, sealed(), EVENT, damaged)


# Records of keys


def record(keys: dict[int, str], erased: bool = False) -> PersonKeys:
    return PersonKeys(subject=ANN, keys=keys, erased_at=NOW if erased else None)


WRAPPED = aes_key_wrap(bytes(32), KEY)
TEXT = base64.b64encode(WRAPPED).decode()


def test_the_newest_key_of_a_record_counts() -> None:
    assert wrapped_of(record({1: "x", 2: TEXT})) == (2, WRAPPED)
    assert wrapped_of(record({2**31 - 1: TEXT})) == (2**31 - 1, WRAPPED)
    assert wrapped_of(record({}, erased=True)) == (None, None)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, "a record of keys holds no key and no erasure"),
        ({2**31: TEXT}, "a record of keys holds no key and no erasure"),
        ({1: "*"}, "a wrapped key is not base64"),
        ({1: base64.b64encode(bytes(39)).decode()}, "a wrapped key has another length"),
        ({1: base64.b64encode(bytes(41)).decode()}, "a wrapped key has another length"),
    ],
)
def test_a_record_that_holds_no_key_is_refused(keys: dict[int, str], sentence: str) -> None:
    with pytest.raises(SealError, match=f"^{sentence}$"):
        wrapped_of(record(keys))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_encryption_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match=r"^a key-encryption key has 32 bytes$"):
        KeyRing(bytes(length))
