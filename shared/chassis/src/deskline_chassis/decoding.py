"""Decoding: a Kafka record becomes an envelope and a fact, or says why it cannot."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from deskline_chassis.event_log import Cause
from deskline_chassis.personal_data import Keys, unseal
from deskline_events.catalog import CATALOG
from deskline_events.envelope import EPOCH_HEADER, GENERATION_HEADER, Envelope, EnvelopeError, source_of
from deskline_events.facts import Fact
from deskline_events.personal import personal_paths, persons_in

Place = tuple[str, int]
"""(topic, partition)"""

StreamId = tuple[str, UUID]
"""(owner, subject)"""

MAX_ERRORS_NAMED: Final = 5
MAX_NUMBER: Final = 2**31 - 1
"""Of sequences, epochs and generations: what comes after cannot be kept and is nothing of ours."""

UNKNOWN_TYPE: Final = "unknown type or newer version"


class UnreadableError(Exception):
    """A record can't be read: malformed, of an unknown type, or of a newer version than this reader knows."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class Record:
    """What a reader needs of a Kafka record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def place(self) -> Place:
        """Its partition."""
        return self.topic, self.partition

    def number(self, header: str, default: int) -> int:
        """A header's number, or the default where it is missing, malformed or out of range."""
        for name, value in self.headers:
            if name == header:
                try:
                    number = int(value)
                except (TypeError, ValueError):
                    return default
                return number if 0 < number <= MAX_NUMBER else default
        return default

    def is_from(self, owner: str) -> bool:
        """Whether its source is this owner, without reading the rest of the envelope."""
        return ("ce_source", source_of(owner).encode()) in self.headers

    @property
    def epoch(self) -> int:
        """The epoch under which it was announced; 0 where it does not say."""
        return self.number(EPOCH_HEADER, 0)

    @property
    def generation(self) -> int:
        """The generation of its owner's log; 1 where it does not say."""
        return self.number(GENERATION_HEADER, 1)


@dataclass(frozen=True, slots=True)
class Received:
    """An event to apply; `cause` is for the facts that follow from it, `place` the partition it came by."""

    envelope: Envelope
    fact: Fact
    cause: Cause
    place: Place = ("", 0)


def read_envelope(record: Record, owner: str) -> Envelope:
    """The record's envelope; raises UnreadableError, also where its source is not the topic's owner."""
    try:
        envelope = Envelope.read(record.headers)
    except EnvelopeError as error:
        raise UnreadableError(str(error)) from None
    if max(envelope.sequence, envelope.epoch, envelope.generation) > MAX_NUMBER:
        raise UnreadableError("a number in its headers is out of range")
    if envelope.source != source_of(owner):
        raise UnreadableError(f"its source is not the owner of {record.topic}")
    return envelope


def parse(envelope: Envelope, record: Record) -> dict[str, Any]:
    """The record's data as JSON, personal fields still sealed; raises UnreadableError."""
    contract = CATALOG.get(envelope.type)
    if contract is None:
        raise UnreadableError(UNKNOWN_TYPE)
    try:
        data = from_json(record.value or b"")
    except ValueError:
        raise UnreadableError("its data is not JSON") from None
    if not isinstance(data, dict):
        raise UnreadableError("its data is not an object")
    return data


def persons_of(envelope: Envelope, data: dict[str, Any]) -> set[UUID]:
    """The persons whose keys are needed to read the data; raises UnreadableError."""
    model = CATALOG[envelope.type].model
    if not personal_paths(model):
        return set()
    try:
        return {UUID(subject) for subject in persons_in(model, data)}
    except (ValueError, TypeError, AttributeError, KeyError):
        raise UnreadableError("its personal fields have another shape") from None


def to_fact(envelope: Envelope, data: dict[str, Any], keys: Keys) -> Fact:
    """The fact, opened with the keys; raises UnreadableError, MissingKeyError, SealError."""
    model = CATALOG[envelope.type].model
    try:
        unseal(model, data, envelope.id, keys)
        return model.model_validate(data)
    except ValidationError as error:
        raise UnreadableError(cause_of(error)) from None
    except (TypeError, AttributeError):
        raise UnreadableError("its personal fields have another shape") from None


def cause_of(error: BaseException) -> str:
    """Why, without a word of what anybody wrote."""
    name = type(error).__name__
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        named = ", ".join(f"{'.'.join(map(str, e['loc']))} {e['type']}" for e in found[:MAX_ERRORS_NAMED])
        return f"{name}: {named}"
    if isinstance(error, psycopg.Error):
        return f"{name} {error.sqlstate}"
    if getattr(error, "safe_message", False):
        return f"{name}: {error}"
    return name


def header_pairs(record: Record) -> bytes:
    """Headers as JSON in bytes, values as Latin-1: a column of JSON would refuse NUL."""
    return to_json([[name, (value or b"").decode("latin-1")] for name, value in record.headers])


def headers_from(kept: bytes) -> tuple[tuple[str, bytes], ...]:
    """What `header_pairs` kept."""
    return tuple((name, value.encode("latin-1")) for name, value in from_json(kept))
