"""I14: after an erasure a person's words are readable nowhere: databases, topics, objects, logs, traces."""

import base64
from collections.abc import Iterable
from pathlib import Path

import psycopg
from psycopg import sql


def readable_in_database(url: str, words: Iterable[str]) -> list[str]:
    """Tables in which one of the words stands, in any column, as text or as bytes."""
    wanted = [word.encode() for word in words]
    found: list[str] = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(
                sql.SQL("SELECT t.* FROM {} t").format(sql.Identifier(schema, table))
            ).fetchall()
            if any(_holds(value, wanted) for row in rows for value in row):
                found.append(f"{schema}.{table}")
    return found


def readable_in_files(files: Iterable[Path], words: Iterable[str]) -> list[str]:
    """Files in which one of the words stands."""
    wanted = [word.encode() for word in words]
    return [str(file) for file in files if file.is_file() and _holds(file.read_bytes(), wanted)]


def _holds(value: object, words: list[bytes]) -> bool:
    content = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
    return any(word in content or base64.b64encode(word)[:-4] in content for word in words)
