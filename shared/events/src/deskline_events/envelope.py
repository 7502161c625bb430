"""The envelope of every event: CloudEvents 1.0 attributes as Kafka headers (binary mode)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic_core import SchemaValidator, core_schema

# Fixed for ever: ids of events are derived from it.
EVENT_ID_NAMESPACE: Final = UUID("6f1d2e0a-3f0b-5d57-9d2c-8a6b1f7c4e21")
Headers = tuple[tuple[str, bytes], ...]

EPOCH_HEADER: Final = "deskline-epoch"
GENERATION_HEADER: Final = "deskline-generation"
IGNORABLE_HEADER: Final = "deskline-ignorable"


class EnvelopeError(ValueError):
    """A record's headers do not make an envelope; the message names the header, never its value."""


def event_id(source: str, subject: UUID, sequence: int, generation: int) -> UUID:
    """The id (`ce_id`) of an event: the same for every publication of the same fact."""
    return uuid5(EVENT_ID_NAMESPACE, f"{source}|{subject}|{sequence}|{generation}")


def source_of(owner: str) -> str:
    """The `ce_source` of an owner's events."""
    return f"/deskline/{owner}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of an event without reading its data.

    `sequence` is dense per (source, subject) from 1; `time` is the commit by the owner's database
    clock (UTC); `epoch` counts publications after losses of the broker, `generation` restores of
    the owner's database.
    """

    id: UUID
    source: str
    type: str
    time: datetime
    subject: UUID
    sequence: int
    correlation_id: UUID
    causation_id: UUID | None
    epoch: int
    generation: int
    ignorable: bool = False
    traceparent: str | None = None

    @property
    def owner(self) -> str:
        """The service that announced the event."""
        return self.source.rpartition("/")[2]

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka headers; see the CloudEvents Kafka protocol binding 1.0.2, §3.2."""
        pairs = [
            ("ce_specversion", b"1.0"),
            ("ce_id", str(self.id).encode()),
            ("ce_source", self.source.encode()),
            ("ce_type", self.type.encode()),
            ("ce_time", self.time.isoformat().encode()),
            ("ce_subject", str(self.subject).encode()),
            ("ce_sequence", str(self.sequence).encode()),
            ("ce_correlationid", str(self.correlation_id).encode()),
            (EPOCH_HEADER, str(self.epoch).encode()),
            (GENERATION_HEADER, str(self.generation).encode()),
            ("content-type", b"application/json"),
        ]
        if self.causation_id is not None:
            pairs.append(("ce_causationid", str(self.causation_id).encode()))
        if self.ignorable:
            pairs.append((IGNORABLE_HEADER, b"1"))
        if self.traceparent is not None:
            pairs.append(("traceparent", self.traceparent.encode()))
        return pairs

    @classmethod
    def read(cls, headers: Headers) -> "Envelope":
        """The envelope in a record's headers; raises EnvelopeError."""
        found = dict(headers)
        if found.get("ce_specversion") != b"1.0":
            raise EnvelopeError("ce_specversion is not 1.0")
        read: list[Any] = []
        name = ""
        try:
            for name, parse in _REQUIRED:
                read.append(parse(str(found[name], "ascii")))
            for name, parse in _OPTIONAL:
                read.append(parse(str(found[name], "ascii")) if name in found else None)
        except KeyError:
            raise EnvelopeError(f"{name} is missing") from None
        except (ValueError, TypeError):
            raise EnvelopeError(f"{name} is malformed") from None
        read.insert(_PLACE_OF_CAUSATION, read.pop(-2))
        read.insert(-1, found.get(IGNORABLE_HEADER) == b"1")
        return cls(*read)


def _zoned(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("no zone")
    return time


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("below 1")
    return number


# The standard library's takes five times as long.
_uuid = SchemaValidator(core_schema.uuid_schema()).validate_python

_REQUIRED: Final[tuple[tuple[str, Callable[[str], Any]], ...]] = (
    ("ce_id", _uuid),
    ("ce_source", str),
    ("ce_type", str),
    ("ce_time", _zoned),
    ("ce_subject", _uuid),
    ("ce_sequence", _positive),
    ("ce_correlationid", _uuid),
    (EPOCH_HEADER, _positive),
    (GENERATION_HEADER, _positive),
)
_PLACE_OF_CAUSATION: Final = len(_REQUIRED) - 2
_OPTIONAL: Final[tuple[tuple[str, Callable[[str], Any]], ...]] = (
    ("ce_causationid", _uuid),
    ("traceparent", str),
)
