"""Lines in PostgreSQL."""

from psycopg import errors
from uuid_utils.compat import uuid7

from deskline_chassis.postgres import Conn
from deskline_events.facts import Language
from deskline_intake.ports import MailLine

_COLUMNS = "line_id, name, address, language, disabled_at IS NOT NULL"


class LineExistsError(Exception):
    """There is a line with this address already; an address has one line."""

    safe_message = True


def add_line(connection: Conn, name: str, address: str, language: Language) -> MailLine:
    """A new line under a normalised address; raises LineExistsError."""
    line = MailLine(uuid7(), name, address, language, disabled=False)
    try:
        connection.execute(
            "INSERT INTO lines (line_id, name, address, language) VALUES (%s, %s, %s, %s)",
            (line.line_id, name, address, language),
        )
    except errors.UniqueViolation:
        raise LineExistsError("a line with this address exists already") from None
    return line


def list_lines(connection: Conn) -> list[MailLine]:
    """All lines, the oldest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM lines ORDER BY created_at, line_id").fetchall()
    return [MailLine(*row) for row in rows]


def disable_line(connection: Conn, address: str) -> bool:
    """Accept nothing more for a line; False where there is none with this address."""
    done = connection.execute(
        "UPDATE lines SET disabled_at = coalesce(disabled_at, clock_timestamp()) WHERE address = %s",
        (address,),
    )
    return done.rowcount == 1


def find_line(connection: Conn, address: str) -> MailLine | None:
    """The line of a normalised address."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM lines WHERE address = %s", (address,)).fetchone()
    return None if row is None else MailLine(*row)
