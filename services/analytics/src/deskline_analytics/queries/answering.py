"""What all answers share: rows as dictionaries, and how fresh they are."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from deskline_chassis.postgres import Conn

AsOf = dict[str, datetime | None]
Answer = dict[str, Any]


def freshness(connection: Conn, owners: tuple[str, ...]) -> AsOf:
    """The time of the latest applied event per owner; ask before the rows, so that it promises too little."""
    found: AsOf = dict(connection.execute("SELECT owner, as_of FROM freshness").fetchall())
    return {owner: found.get(owner) for owner in owners}


def dicts(
    connection: Conn, query: str, values: Mapping[str, Any], *, prepare: bool | None = None
) -> list[Answer]:
    """The rows of a query, each as a dictionary; `prepare=False`: planned anew for these values."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values, prepare=prepare).fetchall()
