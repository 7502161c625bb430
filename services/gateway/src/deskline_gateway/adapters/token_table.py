"""The table of tokens."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from psycopg import Cursor

from deskline_chassis.postgres import Database
from deskline_gateway.domain.tokens import Token

_COLUMNS: Final = ", ".join(field.name for field in fields(Token))
_VALUES: Final = ", ".join(f"%({field.name})s" for field in fields(Token))


class TokenTable:
    """Tokens in PostgreSQL; every method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, token_id: UUID) -> Token | None:
        with self._database.transaction() as connection, connection.cursor(row_factory=_row) as cursor:
            return cursor.execute(f"SELECT {_COLUMNS} FROM tokens WHERE id = %s", (token_id,)).fetchone()

    def add(self, token: Token) -> None:
        kept = {field.name: getattr(token, field.name) for field in fields(token)}
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO tokens ({_COLUMNS}) VALUES ({_VALUES})", kept | {"roles": sorted(token.roles)}
            )

    def every(self) -> list[Token]:
        with self._database.transaction() as connection, connection.cursor(row_factory=_row) as cursor:
            return cursor.execute(f"SELECT {_COLUMNS} FROM tokens ORDER BY created_at, id").fetchall()

    def revoke(self, token_id: UUID, now: datetime) -> bool:
        with self._database.transaction() as connection:
            ended = connection.execute(
                "UPDATE tokens SET revoked_at = coalesce(revoked_at, %s) WHERE id = %s", (now, token_id)
            )
            return ended.rowcount > 0

    def note_use(self, token_id: UUID, day: date) -> None:
        with self._database.transaction() as connection:
            # Replicas write it at most once a day each, and never an earlier day over a later one.
            connection.execute(
                "UPDATE tokens SET last_used_on = %(day)s"
                " WHERE id = %(id)s AND (last_used_on IS NULL OR last_used_on < %(day)s)",
                {"id": token_id, "day": day},
            )


def _row(cursor: Cursor[Any]) -> Callable[[Sequence[Any]], Token]:
    names = [column.name for column in cursor.description or ()]

    def make(values: Sequence[Any]) -> Token:
        found = dict(zip(names, values, strict=True))
        return Token(**found | {"roles": frozenset(found["roles"])})

    return make
