"""Somebody who is erased: what she writes, and where anything of her can be read."""

import base64
import contextlib
import functools
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from services.intake.tests.kit import LINE, Intake, mail

from deskline_events.intake import MessageReceived

CANARY = "канарейка7319"
SENDER = "zinaida7319@client.example"
OTHER = "boris@client.example"
MARKS = [
    form.encode()
    for text in (CANARY, "zinaida", "зинаида", "attached7319")
    for form in (
        text,
        text.upper(),
        text.capitalize(),
        base64.b64encode(text.encode()).decode().rstrip("=")[:-1],
    )
]


def letter(body: str = CANARY, **given: Any) -> bytes:
    return mail(body, **({"sender": f"Зинаида7319 <{SENDER}>", "subject": CANARY} | given))


@functools.cache
def with_attachment(message_id: str = "<attached7319@client.example>") -> bytes:
    message = EmailMessage()
    message["From"] = f"Зинаида <{SENDER}>"
    message["To"] = LINE
    message["Subject"] = CANARY
    message["Message-ID"] = message_id
    message.set_content(CANARY)
    message.add_attachment(CANARY.encode() * 50, "application", "pdf", filename=f"{CANARY}.pdf")
    return message.as_bytes().replace(b"\n", b"\r\n")


def tables(intake: Intake) -> Iterator[tuple[str, bytes]]:
    """Every value of every table, as bytes: texts in UTF-8, bytea as it is, all else as it is shown."""
    with psycopg.connect(intake.database.owner_url, autocommit=True) as connection:
        names = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert {"raw_messages", "events", "objects", "identities"} <= {name for _, name in names}
        for schema, name in names:
            cursor = connection.execute(f'SELECT * FROM "{schema}"."{name}"')
            for row in cursor:
                for value in row:
                    yield name, value if isinstance(value, bytes) else str(value).encode()


def files(intake: Intake) -> list[Path]:
    return [path for path in (intake.folder / "objects").rglob("*") if path.is_file()]


def leaks(intake: Intake) -> set[str]:
    """Where something of the person can be read."""
    found = {name for name, value in tables(intake) for mark in MARKS if mark in value}
    for path in files(intake):
        # It may be removed while it is looked at.
        with contextlib.suppress(FileNotFoundError):
            content = str(path).encode() + path.read_bytes()
            found |= {"objects" for mark in MARKS if mark in content}
    return found


def effects(intake: Intake) -> list[tuple[Any, ...]]:
    """What each accepted message became: raw id and source key."""
    return intake.sql(
        "SELECT data->>'raw_id', data->>'source_key' FROM events WHERE type = %s ORDER BY id",
        MessageReceived.TYPE,
    )


def contact_of(intake: Intake, address: str = SENDER) -> UUID:
    ((contact,),) = intake.sql("SELECT DISTINCT contact_id FROM identities WHERE address = %s", address)
    assert isinstance(contact, UUID)
    return contact


def erased_facts(intake: Intake) -> int:
    return int(intake.sql("SELECT count(*) FROM events WHERE type LIKE '%%PersonErased%%'")[0][0])
