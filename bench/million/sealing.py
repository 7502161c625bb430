"""Sealed values of the template: opened once, with what they are bound to, and sealed anew for each copy."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.million.template import ID, Table

NONCE = 12


class NotOpenedError(Exception):
    """A sealed value is bound to something else than what stands beside it."""


@dataclass(frozen=True, slots=True)
class SealedValue:
    """A sealed text; bound to `place`, an event's or a row's id, and to the path or column there."""

    cipher: str
    person: str
    place: str
    column: str | None
    path: str
    text: str

    def bound_to(self, place: str) -> bytes:
        """The additional data, in another event or row."""
        identity = place if self.column is None else str(uuid5(UUID(place), self.column))
        return f"{identity}/{self.path}".encode()

    def sealed(self, text: str, nonce: bytes, key: bytes, place: str) -> str:
        """Base64, as it stands in the JSON."""
        cipher = AESGCM(key).encrypt(nonce, text.encode(), self.bound_to(place))
        return base64.b64encode(nonce + cipher).decode()


def in_json(node: Any, trail: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(dotted path, sealed value) of each that is in a document."""
    if isinstance(node, dict):
        if node.keys() == {"k", "v", "c"}:
            yield trail, node
            return
        for name, value in node.items():
            yield from in_json(value, f"{trail}.{name}" if trail else name)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from in_json(value, f"{trail}.{index}")


def opened(person: str, cipher: str, bound: bytes, keys: Mapping[str, bytes]) -> str | None:
    """The text; None where it is bound to something else."""
    box = base64.b64decode(cipher)
    try:
        return AESGCM(keys[person]).decrypt(box[:NONCE], box[NONCE:], bound).decode()
    except InvalidTag:
        return None


def unescaped(text: str) -> str:
    """A field of COPY's text format as the value that it stands for."""
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\")


def of_events(table: Table, ids: Iterable[str], keys: Mapping[str, bytes]) -> Iterator[SealedValue]:
    """The sealed values of a log; `ids` are its rows' events."""
    for identity, data in zip(ids, table.column("data"), strict=True):
        for path, value in in_json(json.loads(unescaped(data))):
            if value["k"] not in keys:
                continue
            text = opened(value["k"], value["c"], f"{identity}/{path}".encode(), keys)
            if text is None:
                raise NotOpenedError(f"{table.owner} {identity} {path}")
            yield SealedValue(value["c"], value["k"], identity, None, path, text)


def of_rows(table: Table, keys: Mapping[str, bytes]) -> Iterator[SealedValue]:
    """The sealed values of any other table, which are bound to an id in their row and to a column."""
    for row in table.rows:
        for column, content in zip(table.columns, row.split("\t"), strict=True):
            if '"c":' not in content:
                continue
            for path, value in in_json(json.loads(unescaped(content))):
                if value["k"] in keys:
                    yield _of_row(row, (column, f"{column.removesuffix('s')}", path), value, keys)


def _of_row(
    row: str, columns: tuple[str, ...], value: dict[str, Any], keys: Mapping[str, bytes]
) -> SealedValue:
    for place in dict.fromkeys(ID.findall(row)):
        for column in columns:
            bound = f"{uuid5(UUID(place), column)}/text".encode()
            if (text := opened(value["k"], value["c"], bound, keys)) is not None:
                return SealedValue(value["c"], value["k"], place, column, "text", text)
    raise NotOpenedError(f"{columns} of {row[:80]}")
