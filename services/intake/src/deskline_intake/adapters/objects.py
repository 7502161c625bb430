"""The object store: a local folder, S3 or Google Cloud Storage, by its address."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url
from uuid_utils.compat import uuid7

from deskline_chassis.postgres import Conn
from deskline_events.facts import StoredObject

PREFIX: Final = "messages"
_CHUNK: Final = 1024 * 1024
_PART: Final = 5 * _CHUNK

ERRORS: Final = (BaseError, OSError)
"""What the store raises: its surroundings' fault, never the mail's."""


def open_objects(url: str) -> ObjectStore:
    """The store at an address; a folder is created where it is missing."""
    return from_url(url, mkdir=True) if url.startswith("file:") else from_url(url)


class ObjectKeeper:
    """Keeps contents under random keys that say nothing of them."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, raw_id: UUID, content: bytes | Path) -> StoredObject:
        """Keep a content of a message, beside its others, so that all are found again; raises `ERRORS`."""
        key = f"{PREFIX}/{raw_id}/{uuid7()}"
        digest, size = _measure(content)
        # Two parts at a time, or a large file would be held in memory whole.
        obstore.put(self._store, key, content, chunk_size=_PART, max_concurrency=2)
        return StoredObject(key=key, sha256=digest, size=size)

    def old(self, before: datetime) -> Iterator[list[str]]:
        """Keys of objects written before a moment, some hundreds at a time."""
        for page in obstore.list(self._store, prefix=PREFIX, chunk_size=500):
            keys = [found["path"] for found in page if found["last_modified"] < before]
            if keys:
                yield keys

    def of_message(self, raw_id: UUID) -> list[str]:
        """Keys of whatever was written for a message, announced or not."""
        pages = obstore.list(self._store, prefix=f"{PREFIX}/{raw_id}")
        return [found["path"] for page in pages for found in page]

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                continue


def unannounced(connection: Conn, keys: list[str]) -> list[str]:
    """Those of the keys that no announced message has."""
    rows = connection.execute(
        "SELECT key FROM unnest(%s::text[]) AS kept (key)"
        " WHERE NOT EXISTS (SELECT 1 FROM objects o WHERE o.key = kept.key)",
        (keys,),
    ).fetchall()
    return [key for (key,) in rows]


def _measure(content: bytes | Path) -> tuple[str, int]:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest(), len(content)
    digest, size = hashlib.sha256(), 0
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size
