"""What intake's handlers work on, and what they need from the world around them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_events.facts import Channel, Language, StoredObject
from deskline_intake.parser import Identity, Reading


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A line as the doors and the reading need it; `origins` are the web sites whose pages hold a form."""

    line_id: UUID
    name: str
    channel: Channel
    address: str | None
    language: Language
    disabled: bool
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AcceptedMail:
    """A mail at the door, for one line, before it is stored."""

    raw_id: UUID
    line_id: UUID
    lane: int
    heavy: bool
    envelope_from: str | None
    reply_token: str | None
    pieces: Sequence[bytes]
    size: int
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail, or a form's message, without its bytes; `careful`: reading its lane ended badly before."""

    raw_id: UUID
    lane: int
    arrival: int
    line: StoredLine
    heavy: bool
    size: int
    envelope_from: str | None
    reply_token: str | None
    received_at: datetime
    traceparent: str | None
    careful: bool

    @property
    def is_form(self) -> bool:
        """Whether it came by a web form."""
        return self.line.channel == "form"

    @property
    def verified(self) -> bool:
        """Whether its channel vouches for the sender's address."""
        return not self.is_form

    @property
    def apart(self) -> bool:
        """Whether it is read in a process of its own; what a form brought is small and ours."""
        return not self.is_form and (self.heavy or self.careful)


@dataclass(frozen=True, slots=True)
class ReadMail:
    """A mail, what it says, and the objects that were written for it."""

    mail: StoredMail
    reading: Reading
    objects: Mapping[int, StoredObject]
    text: StoredObject | None
    raw: StoredObject | None
    failed: bool
    traceparent: str | None

    @property
    def stored(self) -> list[StoredObject]:
        """Every object of this mail."""
        return [*self.objects.values(), *(found for found in (self.text, self.raw) if found)]


@dataclass(frozen=True, slots=True)
class Company:
    """A customer's company."""

    company_id: UUID
    tier: str | None
    locale: Language


@dataclass(frozen=True, slots=True)
class Person:
    """A contact by one of their identities: the identity's line and address, and who it is."""

    line_id: UUID
    identity_id: UUID
    contact_id: UUID
    company_id: UUID | None
    tier: str | None
    locale: Language
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """An announced delivery: by which key, under which Message-ID, when it came, whether it was erased."""

    line_id: UUID
    source_key: str
    base_key: str
    message_id_hash: str | None
    raw_id: UUID
    received_at: datetime
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a stored mail; `erased`: it repeats one whose sender was erased."""

    raw_id: UUID
    state: str
    source_key: str
    duplicate_of: UUID | None
    erased: bool = False


Turn = Callable[[], None]
"""Called at least every second while something long goes on."""


class Objects(Protocol):
    """Where attachments and long texts are kept; errors are the store's own."""

    def put(self, raw_id: UUID, content: bytes | Path) -> StoredObject:
        """Keep a content of a message under a new random key."""

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects, those that are gone already too."""


class Registry(Protocol):
    """Who wrote before, from which company, and which deliveries were announced."""

    def sources(self, connection: Conn, identities: Collection[tuple[UUID, Identity]]) -> list[Source]:
        """What was announced under these keys or Message-IDs."""

    def people(self, connection: Conn, addresses: Collection[str]) -> dict[str, list[Person]]:
        """Persons by address, on any line; not those who were erased."""

    def companies(self, connection: Conn, domains: Collection[str]) -> dict[str, Company]:
        """Companies by mail domain."""

    def save_companies(self, connection: Conn, companies: Mapping[str, Company]) -> None:
        """Keep new companies by their domains."""

    def save_people(
        self, connection: Conn, contacts: Sequence[Person], identities: Sequence[tuple[str | None, Person]]
    ) -> None:
        """Keep new contacts and identities."""

    def verify_people(self, connection: Conn, people: Sequence[Person]) -> None:
        """Keep that a channel vouched for these contacts' addresses, and their companies."""

    def save_sources(self, connection: Conn, sources: Sequence[Source]) -> None:
        """Keep what is announced in this transaction."""

    def save_objects(self, connection: Conn, objects: Sequence[tuple[UUID, StoredObject]]) -> None:
        """Keep what the object store holds for announced messages."""
