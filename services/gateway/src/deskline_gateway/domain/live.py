"""What a live view tells: that something happened to a ticket, and nothing of what it was."""

import functools
import json
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from deskline_events.envelope import GENERATION_HEADER, source_of

MOST_REMEMBERED: Final = 20_000

# A record's header is another service's word: only what a name of ours looks like goes on.
_TYPE: Final = re.compile(r"deskline\.[a-z]+\.([A-Za-z]{1,100})\.v[0-9]+")
_SOURCE: Final = re.compile(rb"/deskline/[a-z]+")
_SUBJECT: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,17}")
_OF_TICKETS: Final = source_of("tickets").encode()


@dataclass(frozen=True, slots=True)
class Notice:
    """The three fields; `version` is null where it is not known, `ticket` where it is about all."""

    ticket: UUID | None
    version: int | None
    type: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What a live view needs of a record; its stream is kept as it is written, since most are told to nobody.

    Two forms of one id would be two streams: owners write but one.
    """

    source: bytes
    subject: bytes
    generation: int
    sequence: int
    type: str
    name: str

    @property
    def ticket(self) -> UUID:
        """The ticket that it is about."""
        return UUID(self.subject.decode("ascii"))


def heard_in(headers: Iterable[tuple[str, bytes | None]]) -> Heard | None:
    """What a record's headers say; None where they name no stream, place and type of ours."""
    found = dict(headers)
    source, subject = found.get("ce_source") or b"", found.get("ce_subject") or b""
    sequence, generation = found.get("ce_sequence") or b"", found.get(GENERATION_HEADER) or b""
    typed = _typed(found.get("ce_type") or b"")
    if (
        typed is None
        or found.get("ce_specversion") != b"1.0"
        or not _SOURCE.fullmatch(source)
        or not _SUBJECT.fullmatch(subject)
        or not _NUMBER.fullmatch(sequence)
        or not _NUMBER.fullmatch(generation)
    ):
        return None
    return Heard(source, subject, int(generation), int(sequence), *typed)


@functools.lru_cache(maxsize=1024)
def _typed(header: bytes) -> tuple[str, str] | None:
    wire_type = header.decode("ascii", "replace")
    name = name_of(wire_type)
    return None if name is None else (wire_type, name)


def frame(number: int, notice: Notice, kind: str | None = None) -> bytes:
    """A notice as a server-sent event; `kind` names it where it tells of the stream and not of a ticket."""
    told = {
        "ticket": None if notice.ticket is None else str(notice.ticket),
        "version": notice.version,
        "type": notice.type,
    }
    named = "" if kind is None else f"event: {kind}\n"
    return f"id: {number}\n{named}data: {json.dumps(told, separators=(',', ':'))}\n\n".encode()


def name_of(wire_type: str) -> str | None:
    """The event's name as timelines have it; None for what is no type of ours."""
    found = _TYPE.fullmatch(wire_type)
    return None if found is None else found.group(1)


class Progress:
    """How far each stream was told, so that repeats are dropped; the longest silent are forgotten first."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._last: OrderedDict[tuple[bytes, bytes], tuple[int, int]] = OrderedDict()

    def advances(self, heard: Heard) -> bool:
        """Whether the event is new here; a restored owner's sequences begin anew in a higher generation."""
        key, place = (heard.source, heard.subject), (heard.generation, heard.sequence)
        if self._last.get(key, (0, 0)) >= place:
            return False
        self._last[key] = place
        self._last.move_to_end(key)
        if len(self._last) > self._most:
            self._last.popitem(last=False)
        return True

    def version(self, heard: Heard) -> int | None:
        """The last version that was seen of the ticket that an event is about."""
        return self._last.get((_OF_TICKETS, heard.subject), (0, None))[1]


class Whereabouts:
    """In which queue a ticket stands, as far as its routing was seen."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._queues: OrderedDict[UUID, UUID] = OrderedDict()

    def moved(self, ticket: UUID, queue: UUID) -> None:
        """The ticket stands in the queue from now on."""
        self._queues[ticket] = queue
        self._queues.move_to_end(ticket)
        if len(self._queues) > self._most:
            self._queues.popitem(last=False)

    def queue_of(self, ticket: UUID) -> UUID | None:
        """Its queue; None where no routing of it was seen."""
        return self._queues.get(ticket)
