"""Lines in PostgreSQL."""

from uuid import UUID

from psycopg import errors

from deskline_chassis.postgres import Conn, Row
from deskline_intake.ports import StoredLine

_COLUMNS = "line_id, name, channel, address, language, disabled_at IS NOT NULL, origins"


class LineExistsError(Exception):
    """There is a mail line with this address already; an address has one."""

    safe_message = True


def add_line(connection: Conn, line: StoredLine) -> None:
    """Keep a new line; its address is normalised. Raises LineExistsError."""
    try:
        connection.execute(
            "INSERT INTO lines (line_id, name, channel, address, language, origins)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (line.line_id, line.name, line.channel, line.address, line.language, list(line.origins)),
        )
    except errors.UniqueViolation:
        raise LineExistsError("a line with this address exists already") from None


def list_lines(connection: Conn, after: UUID | None = None, limit: int | None = None) -> list[StoredLine]:
    """Lines, the oldest first, those behind a line's id; all of them without a limit."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM lines WHERE %(after)s::uuid IS NULL OR line_id > %(after)s"
        " ORDER BY line_id LIMIT %(limit)s",
        {"after": after, "limit": limit},
    ).fetchall()
    return [_line(row) for row in rows]


def disable_mail_line(connection: Conn, address: str) -> bool:
    """Accept nothing more for a mail line; False where there is none with this address."""
    done = connection.execute(
        "UPDATE lines SET disabled_at = coalesce(disabled_at, clock_timestamp())"
        " WHERE address = %s AND channel = 'email'",
        (address,),
    )
    return done.rowcount == 1


def disable_line(connection: Conn, line_id: UUID) -> bool:
    """Accept nothing more for a line; False where there is none."""
    done = connection.execute(
        "UPDATE lines SET disabled_at = coalesce(disabled_at, clock_timestamp()) WHERE line_id = %s",
        (line_id,),
    )
    return done.rowcount == 1


def find_mail_line(connection: Conn, address: str) -> StoredLine | None:
    """The mail line of a normalised address."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM lines WHERE address = %s AND channel = 'email'", (address,)
    ).fetchone()
    return None if row is None else _line(row)


def find_line(connection: Conn, line_id: UUID) -> StoredLine | None:
    """A line by its id."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM lines WHERE line_id = %s", (line_id,)).fetchone()
    return None if row is None else _line(row)


def _line(row: Row) -> StoredLine:
    line_id, name, channel, address, language, disabled, origins = row
    return StoredLine(line_id, name, channel, address, language, disabled, tuple(origins))
