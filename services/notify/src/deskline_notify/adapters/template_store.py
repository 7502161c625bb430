"""Templates that an admin saved: the newest version of each, which replaces the default."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_events.facts import Language
from deskline_events.notify import NotificationKind
from deskline_notify.templates.sandbox import Source


@dataclass(frozen=True, slots=True)
class Saved:
    """A template that replaces a default."""

    kind: NotificationKind
    language: Language
    version: int
    source: Source
    changed_at: datetime
    changed_by: UUID


def saved_templates(connection: Conn) -> dict[tuple[NotificationKind, Language], Saved]:
    """All that were saved."""
    rows = connection.execute(
        "SELECT kind, language, version, subject, body, html, changed_at, changed_by FROM templates"
    ).fetchall()
    return {(row[0], row[1]): _saved(row) for row in rows}


def lock_template(connection: Conn, kind: NotificationKind, language: Language) -> int:
    """The version that is saved, 0 for the default; nobody else saves one until the commit."""
    # A row that isn't there can't be locked.
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"template {kind} {language}",)
    )
    row = connection.execute(
        "SELECT version FROM templates WHERE kind = %s AND language = %s", (kind, language)
    ).fetchone()
    return 0 if row is None else int(row[0])


def save_template(
    connection: Conn, kind: NotificationKind, language: Language, source: Source, actor_id: UUID
) -> Saved:
    """Save the next version."""
    row = connection.execute(
        "INSERT INTO templates (kind, language, version, subject, body, html, changed_at, changed_by)"
        " VALUES (%s, %s, 1, %s, %s, %s, clock_timestamp(), %s) ON CONFLICT (kind, language) DO UPDATE SET"
        " version = templates.version + 1, subject = excluded.subject, body = excluded.body,"
        " html = excluded.html, changed_at = excluded.changed_at, changed_by = excluded.changed_by"
        " RETURNING kind, language, version, subject, body, html, changed_at, changed_by",
        (kind, language, source.subject, source.text, source.html, actor_id),
    ).fetchone()
    assert row is not None  # noqa: S101 -- both ways return the row
    return _saved(row)


def _saved(row: tuple[Any, ...]) -> Saved:
    return Saved(row[0], row[1], row[2], Source(*row[3:6]), row[6], row[7])
