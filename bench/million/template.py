"""What the product wrote for a few hundred tickets: the rows of all stores, and which ids are theirs."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import psycopg
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from psycopg.rows import dict_row

from deskline_local.system import System

OWNERS: Final = ("intake", "tickets", "routing", "sla", "notify", "analytics")
ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# These name ids of tickets and are not multiplied: one row for all, or of no use to anybody later.
SINGLE: Final = {
    ("intake", "lanes"),
    ("intake", "idempotency_keys"),
    ("tickets", "idempotency_keys"),
    ("analytics", "lines"),
    *((owner, "relay") for owner in OWNERS),
}
NUMBER: Final = re.compile(r'(?<="number": )\d+|(?<="number":)\d+')


# Sums that no ticket owns: (table of analytics, the day or a moment of it, of what).
SUMS: Final = {"daily_flow": ("bucket", "line_id"), "operator_load": ("day", "operator_id")}
Sums = dict[str, dict[tuple[date | datetime, Any], dict[str, int]]]
"""Table → (day, of what) → counts."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table, as COPY writes them; `columns` without those that the database gives."""

    owner: str
    name: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]

    def column(self, name: str) -> list[str]:
        """One column of all rows."""
        place = self.columns.index(name)
        return [row.split("\t")[place] for row in self.rows]


@dataclass(slots=True)
class Template:
    """The rows that belong to the template's tickets, and what is needed to make others of them."""

    tables: dict[tuple[str, str], Table]
    own: frozenset[str]
    tickets: int
    keys: dict[str, bytes]
    key_encryption_key: bytes
    reply_token_key: bytes
    marks: tuple[str, ...]
    sums: Sums


def ids_of(texts: Iterable[str]) -> set[str]:
    """All ids that are written there."""
    return {found for text in texts for found in ID.findall(text)}


def tables_of(connection: "psycopg.Connection[tuple[object, ...]]") -> dict[str, tuple[str, ...]]:
    """Table → columns that are not the database's to give, in the order of the table."""
    rows = connection.execute(
        "SELECT c.table_name, c.column_name FROM information_schema.columns c"
        " JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_identity = 'NO'"
        " ORDER BY c.table_name, c.ordinal_position"
    ).fetchall()
    found: dict[str, tuple[str, ...]] = {}
    for table, column in rows:
        found[str(table)] = (*found.get(str(table), ()), str(column))
    return found


def rows_of(system: System) -> dict[tuple[str, str], Table]:
    """Everything in all stores, as it is now; events in the order of the log."""
    found = {}
    for owner in OWNERS:
        with psycopg.connect(system.owner_url(owner)) as connection:
            for name, columns in tables_of(connection).items():
                order = {"events": "ORDER BY id", "notifications": "ORDER BY 1"}.get(name, "")
                query = f"COPY (SELECT {', '.join(columns)} FROM {name} {order}) TO STDOUT"
                with connection.cursor().copy(query) as copy:
                    text = b"".join(bytes(piece) for piece in copy).decode()
                found[owner, name] = Table(owner, name, columns, tuple(text.splitlines()))
    return found


def sums_of(system: System) -> Sums:
    """The sums as they are now."""
    found: Sums = {}
    with psycopg.connect(system.owner_url("analytics"), row_factory=dict_row) as connection:
        for table, (moment, of) in SUMS.items():
            rows = connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
            found[table] = {(row.pop(moment), row.pop(of)): row for row in rows}
    return found


def _grown(before: Sums, after: Sums) -> Sums:
    return {
        table: {
            place: {name: count - before[table].get(place, {}).get(name, 0) for name, count in counts.items()}
            for place, counts in rows.items()
        }
        for table, rows in after.items()
    }


@dataclass(frozen=True, slots=True)
class Before:
    """What was there before the template's tickets."""

    ids: frozenset[str]
    sums: Sums

    @classmethod
    def of(cls, system: System) -> "Before":
        """As it is now."""
        rows = rows_of(system)
        return cls(frozenset(ids_of(row for table in rows.values() for row in table.rows)), sums_of(system))


def taken(system: System, before: Before, marks: tuple[str, ...]) -> Template:
    """The rows that came since, found by ids that were nowhere before."""
    whole = rows_of(system)
    own = frozenset(ids_of(row for table in whole.values() for row in table.rows)) - before.ids
    kept = {}
    for place, table in whole.items():
        if place in SINGLE:
            continue
        rows = tuple(row for row in table.rows if not own.isdisjoint(ID.findall(row)))
        if rows:
            kept[place] = Table(table.owner, table.name, table.columns, rows)
    environment = system.deployment.environment("tickets")
    secret = base64.b64decode(system.key_encryption_key)
    persons = kept["intake", "person_keys"]
    wrapped = zip(persons.column("subject"), persons.column("wrapped"), strict=True)
    return Template(
        tables=kept,
        own=own,
        tickets=len(kept["tickets", "tickets_index"].rows),
        keys={subject: aes_key_unwrap(secret, from_bytea(text)) for subject, text in wrapped},
        key_encryption_key=secret,
        reply_token_key=base64.b64decode(environment["DESKLINE_TICKETS_REPLY_TOKEN_KEY"]),
        marks=marks,
        sums=_grown(before.sums, sums_of(system)),
    )


def from_bytea(text: str) -> bytes:
    """What COPY wrote as hexadecimal digits behind an escaped backslash."""
    return bytes.fromhex(text.removeprefix("\\\\x"))
