"""What a live view tells: that something happened to a ticket, and nothing of what it was."""

import json
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from deskline_events.envelope import Envelope

MOST_REMEMBERED: Final = 20_000

# A record's header is another service's word: only what a name of ours looks like goes on.
_TYPE: Final = re.compile(r"deskline\.[a-z]+\.([A-Za-z]{1,100})\.v[0-9]+")


@dataclass(frozen=True, slots=True)
class Notice:
    """The three fields; `version` is null where it is not known, `ticket` where it is about all."""

    ticket: UUID | None
    version: int | None
    type: str


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
        self._last: OrderedDict[tuple[str, UUID], tuple[int, int]] = OrderedDict()

    def advances(self, envelope: Envelope) -> bool:
        """Whether the event is new here; a restored owner's sequences begin anew in a higher generation."""
        key, place = (envelope.owner, envelope.subject), (envelope.generation, envelope.sequence)
        if self._last.get(key, (0, 0)) >= place:
            return False
        self._last[key] = place
        self._last.move_to_end(key)
        if len(self._last) > self._most:
            self._last.popitem(last=False)
        return True

    def version(self, ticket: UUID) -> int | None:
        """The last version of a ticket that was seen."""
        return self._last.get(("tickets", ticket), (0, None))[1]


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
