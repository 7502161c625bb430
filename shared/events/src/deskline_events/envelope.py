"""The envelope of every event: CloudEvents 1.0 attributes as Kafka headers (binary mode)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID, uuid5

# Fixed for ever: ids of events are derived from it.
EVENT_ID_NAMESPACE: Final = UUID("6f1d2e0a-3f0b-5d57-9d2c-8a6b1f7c4e21")
T = TypeVar("T")
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
        return cls(
            id=_take(found, "ce_id", UUID),
            source=_take(found, "ce_source", str),
            type=_take(found, "ce_type", str),
            time=_take(found, "ce_time", _zoned),
            subject=_take(found, "ce_subject", UUID),
            sequence=_take(found, "ce_sequence", _positive),
            correlation_id=_take(found, "ce_correlationid", UUID),
            causation_id=_take(found, "ce_causationid", UUID) if "ce_causationid" in found else None,
            epoch=_take(found, EPOCH_HEADER, _positive),
            generation=_take(found, GENERATION_HEADER, _positive),
            ignorable=found.get(IGNORABLE_HEADER) == b"1",
            traceparent=_take(found, "traceparent", str) if "traceparent" in found else None,
        )


def _take(found: dict[str, bytes], name: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(found[name].decode("ascii"))
    except KeyError:
        raise EnvelopeError(f"{name} is missing") from None
    except ValueError:
        raise EnvelopeError(f"{name} is malformed") from None


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
