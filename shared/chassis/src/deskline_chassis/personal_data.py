"""Personal data: a key per person, fields sealed when written, opened when read, "erased" for ever after.

The form is AES-256-GCM (NIST SP 800-38D) with `ce_id` and the field's path as additional data; keys are
wrapped by RFC 3394 under the deployment's key-encryption key, which no topic and no table holds.
"""

import base64
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from pydantic import BaseModel

from deskline_chassis.postgres import Conn
from deskline_events.keys import PersonKeys
from deskline_events.personal import ERASED, personal_paths, visit_personal

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
WRAP_BYTES: Final = 8
DAMAGED: Final = "the key of {} is damaged, or wrapped under another key-encryption key"
MAX_VERSION: Final = 2**31 - 1


class SealError(Exception):
    """A sealed field cannot be opened: another key, another event or damaged text."""

    safe_message = True


class MissingKeyError(Exception):
    """A person's key is not known here (yet)."""

    safe_message = True

    def __init__(self, subject: UUID) -> None:
        super().__init__(f"no key of person {subject}")
        self.subject = subject


class PersonErasedError(Exception):
    """The person was erased: nothing more may be written under their key."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A person's unwrapped key; None once they were erased, or without `erased_at` where it is damaged."""

    version: int
    key: bytes | None
    erased_at: datetime | None = None


Keys = Mapping[UUID, PersonKey]


class KeyRing:
    """Wraps, unwraps and looks up persons' keys; holds the key-encryption key of the deployment."""

    def __init__(self, key_encryption_key: bytes) -> None:
        if len(key_encryption_key) != KEY_BYTES:
            raise ValueError(f"a key-encryption key has {KEY_BYTES} bytes")
        self._kek = key_encryption_key

    def unwrap(self, wrapped: bytes) -> bytes:
        """A person's key, opened anew each time: kept open it would cost memory. Raises SealError."""
        try:
            return aes_key_unwrap(self._kek, wrapped)
        except (InvalidUnwrap, ValueError):
            raise SealError("a person's key was wrapped under another key-encryption key") from None

    def register(self, connection: Conn, subjects: Collection[UUID]) -> None:
        """Give new persons a key; the caller holds the log's lock, as announcing follows its order."""
        if not subjects:
            return
        wrapped = [aes_key_wrap(self._kek, os.urandom(KEY_BYTES)) for _ in subjects]
        connection.execute(
            "INSERT INTO person_keys (subject, version, wrapped, change_id)"
            " SELECT subject, 1, wrapped, nextval('person_key_changes')"
            " FROM unnest(%s::uuid[], %s::bytea[]) AS new (subject, wrapped)"
            " ON CONFLICT (subject) DO NOTHING",
            (list(subjects), wrapped),
        )

    def erase(self, connection: Conn, subject: UUID) -> bool:
        """Forget an owned person's key for ever; the caller holds the log's lock. False if it was gone."""
        done = connection.execute(
            "UPDATE person_keys SET wrapped = NULL, version = NULL, erased_at = clock_timestamp(),"
            " change_id = nextval('person_key_changes') WHERE subject = %s AND erased_at IS NULL",
            (subject,),
        )
        return done.rowcount == 1

    def load(self, connection: Conn, subjects: Collection[UUID]) -> dict[UUID, PersonKey]:
        """The keys that are known here of these persons, owned or announced by others."""
        if not subjects:
            return {}
        wanted = sorted(subjects)
        rows = connection.execute(
            "SELECT subject, version, wrapped, erased_at FROM person_keys WHERE subject = ANY(%(s)s)"
            " UNION ALL SELECT subject, version, wrapped, erased_at FROM known_keys"
            " WHERE subject = ANY(%(s)s)",
            {"s": wanted},
        ).fetchall()
        return {
            subject: PersonKey(version or 0, None if wrapped is None else self._opened(wrapped), erased_at)
            for subject, version, wrapped, erased_at in rows
        }

    def _opened(self, wrapped: bytes) -> bytes | None:
        # One damaged key must not keep the keys of all others from being read.
        try:
            return self.unwrap(wrapped)
        except SealError:
            return None


def wrapped_of(record: PersonKeys) -> tuple[int | None, bytes | None]:
    """Newest version and its wrapped key, None where the person was erased; raises SealError."""
    if record.erased_at is not None:
        return None, None
    version = max(record.keys, default=0)
    if not 0 < version <= MAX_VERSION:
        raise SealError("a record of keys holds no key and no erasure")
    try:
        wrapped = base64.b64decode(record.keys[version], validate=True)
    except ValueError:
        raise SealError("a wrapped key is not base64") from None
    if len(wrapped) != KEY_BYTES + WRAP_BYTES:
        raise SealError("a wrapped key has another length")
    return version, wrapped


def learn_keys(connection: Conn, records: Collection[PersonKeys]) -> None:
    """Keep what another owner announced; an erasure is never taken back. Raises SealError."""
    if not records:
        return
    newest = {record.subject: record for record in sorted(records, key=lambda r: r.erased_at is not None)}
    rows = sorted(newest.values(), key=lambda record: record.subject)
    opened = [wrapped_of(row) for row in rows]
    connection.execute(
        "INSERT INTO known_keys (subject, version, wrapped, erased_at)"
        " SELECT * FROM unnest(%s::uuid[], %s::int[], %s::bytea[], %s::timestamptz[])"
        " ON CONFLICT (subject) DO UPDATE SET version = excluded.version, wrapped = excluded.wrapped,"
        " erased_at = excluded.erased_at WHERE known_keys.erased_at IS NULL",
        (
            [row.subject for row in rows],
            [version for version, _ in opened],
            [wrapped for _, wrapped in opened],
            [row.erased_at for row in rows],
        ),
    )


def _additional_data(event_id: UUID, path: str) -> bytes:
    return f"{event_id}/{path}".encode()


def seal(model: type[BaseModel], data: dict[str, Any], event_id: UUID, keys: Keys) -> None:
    """Encrypt the personal fields of an event's data in place.

    Raises MissingKeyError, SealError, and PersonErasedError where nothing may be written any more.
    """

    def encrypt(subject: str, path: str, text: Any) -> dict[str, Any]:
        person = UUID(subject)
        key = keys.get(person)
        if key is None:
            raise MissingKeyError(person)
        if key.key is None:
            if key.erased_at is None:
                raise SealError(DAMAGED.format(person))
            raise PersonErasedError(f"person {person} was erased")
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(key.key).encrypt(nonce, str(text).encode(), _additional_data(event_id, path))
        return {"k": subject, "v": key.version, "c": base64.b64encode(nonce + cipher).decode("ascii")}

    visit_personal(model, data, encrypt)


def unseal(model: type[BaseModel], data: dict[str, Any], event_id: UUID, keys: Keys) -> None:
    """Decrypt the personal fields of an event's data in place; an erased person's read as "erased".

    Raises MissingKeyError and SealError.
    """
    if not personal_paths(model):
        return

    def decrypt(_subject: str, path: str, sealed: Any) -> str:
        try:
            person, cipher = UUID(sealed["k"]), base64.b64decode(sealed["c"], validate=True)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SealError(f"{path} is not a sealed field") from None
        key = keys.get(person)
        if key is None:
            raise MissingKeyError(person)
        if key.key is None:
            if key.erased_at is None:
                raise SealError(DAMAGED.format(person))
            return ERASED
        try:
            nonce, body = cipher[:NONCE_BYTES], cipher[NONCE_BYTES:]
            return AESGCM(key.key).decrypt(nonce, body, _additional_data(event_id, path)).decode()
        except (InvalidTag, ValueError):
            raise SealError(f"{path} does not open under the key of {person}") from None

    visit_personal(model, data, decrypt)
