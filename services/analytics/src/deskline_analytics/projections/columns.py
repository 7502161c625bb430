"""Columns: how the fields of a row travel to PostgreSQL as arrays, one array a column."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Final, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic_core import to_json

from deskline_chassis.postgres import Conn

_SCALARS: Final = {
    UUID: "uuid",
    datetime: "timestamptz",
    date: "date",
    bool: "boolean",
    int: "bigint",
    float: "float8",
}


def sql_type(hint: Any) -> str:
    """The column's type for a field: text unless told otherwise, as for literals."""
    origin = get_origin(hint)
    if origin is dict:
        return "jsonb"
    if origin is list:
        (item,) = get_args(hint)
        return "jsonb" if item is Any else f"{sql_type(item)}[]"
    members = [member for member in get_args(hint) if isinstance(member, type)] or [hint]
    return _SCALARS.get(members[0], "text")


def columns_of(row: type[Any]) -> dict[str, str]:
    """Names and types of a row's columns, in the order of its fields."""
    hints = get_type_hints(row)
    return {field.name: sql_type(hints[field.name]) for field in fields(row)}


def from_arrays(columns: Mapping[str, str]) -> str:
    """`SELECT … FROM unnest(…) AS new (…)`; what is no scalar travels as text."""
    shown = ", ".join(f"{name}::{kind}" if _is_text(kind) else name for name, kind in columns.items())
    arrays = ", ".join(f"%b::{'text' if _is_text(kind) else kind}[]" for kind in columns.values())
    return f"SELECT {shown} FROM unnest({arrays}) AS new ({', '.join(columns)})"


def insert(table: str, columns: Mapping[str, str]) -> str:
    """An INSERT of all rows in arrays."""
    return f"INSERT INTO {table} ({', '.join(columns)}) {from_arrays(columns)}"


def upsert(table: str, columns: Mapping[str, str], keys: Sequence[str], *, add: bool = False) -> str:
    """An INSERT that overwrites, or adds to, the other columns of rows that are there."""
    others = [name for name in columns if name not in keys]
    value = f"{table}.{{0}} + excluded.{{0}}" if add else "excluded.{0}"
    sets = ", ".join(f"{name} = {value.format(name)}" for name in others)
    return f"{insert(table, columns)} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}"


def many(connection: Conn, statement: str, columns: Mapping[str, str], rows: Iterable[Any]) -> None:
    """Run a statement over the columns of all rows, as attributes; does nothing without rows."""
    run(connection, statement, columns, map(attrgetter(*columns), rows))


def run(connection: Conn, statement: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
    """The same for rows that are sequences in the order of the columns."""
    turned = zip(*rows, strict=True)
    arrays = [
        [_travelling(value, kind) for value in values] if _is_text(kind) else list(values)
        for values, kind in zip(turned, columns.values(), strict=False)
    ]
    if arrays:
        connection.execute(statement, arrays)


def _travelling(value: Any, kind: str) -> str | None:
    if value is None:
        return None
    if kind == "jsonb":
        return to_json(value).decode()
    # Ids and codes need no quotes in PostgreSQL's form of an array.
    return "{" + ",".join(map(str, value)) + "}"


def _is_text(kind: str) -> bool:
    return kind == "jsonb" or kind.endswith("[]")
