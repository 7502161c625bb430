"""Sealing: personal values in our tables are under their person's key, so that an erasure needs no sweep."""

from collections.abc import Collection
from typing import Annotated, Any
from uuid import UUID, uuid5

from pydantic import BaseModel

from deskline_chassis.personal_data import KeyRing, Keys, seal, unseal
from deskline_chassis.postgres import Conn
from deskline_events.personal import ERASED, Personal

Sealed = dict[str, Any]
"""A sealed value as JSON."""


class _Kept(BaseModel):
    person: UUID
    text: Annotated[str, Personal("person")]


class Sealer:
    """Seals and opens with the keys that were loaded for some persons."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @classmethod
    def for_persons(cls, ring: KeyRing, connection: Conn, persons: Collection[UUID]) -> "Sealer":
        """With the keys of these persons."""
        return cls(ring.load(connection, set(persons)))

    def is_erased(self, person: UUID) -> bool:
        """Whether the person was erased, as far as their key was loaded."""
        key = self._keys.get(person)
        return key is not None and key.erased_at is not None

    def seal(self, person: UUID, row: UUID, column: str, text: str | None) -> Sealed | None:
        """The value for a row's column; None where there is none, or where the person was erased.

        Raises MissingKeyError, SealError.
        """
        if text is None or text == ERASED or self.is_erased(person):
            return None
        data: dict[str, Any] = {"person": str(person), "text": text}
        seal(_Kept, data, _place(row, column), self._keys)
        kept: Sealed = data["text"]
        return kept

    def open(self, row: UUID, column: str, sealed: Sealed | None) -> str | None:
        """What was sealed; None where there was nothing, or where the person was erased since.

        Raises MissingKeyError, SealError.
        """
        if sealed is None:
            return None
        person = UUID(str(sealed["k"]))
        if self.is_erased(person):
            return None
        data: dict[str, Any] = {"person": str(person), "text": sealed}
        unseal(_Kept, data, _place(row, column), self._keys)
        return str(data["text"])


def person_of(sealed: Sealed | None) -> UUID | None:
    """Under whose key a value is."""
    return None if sealed is None else UUID(str(sealed["k"]))


def _place(row: UUID, column: str) -> UUID:
    # A sealed value opens in its own row and column only.
    return uuid5(row, column)
