"""Tokens and forms' lines as the services' commands make them, without a process for each."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from deskline_chassis.postgres import Database
from deskline_gateway.adapters.token_table import TokenTable
from deskline_gateway.domain.tokens import SECRET_BYTES
from deskline_gateway.handlers import CreateToken, create_token
from deskline_intake.adapters.lines import add_line, list_lines
from deskline_intake.ports import StoredLine
from deskline_local.office import Person
from deskline_local.system import System


@contextmanager
def _database(system: System, service: str) -> Iterator[Database]:
    database = Database(system.deployment.databases[service].runtime_url, "bench", size=1)
    database.open()
    try:
        yield database
    finally:
        database.close()


def tokens(system: System, people: Iterable[Person]) -> list[str]:
    """A token for each, with their roles."""
    with _database(system, "gateway") as database:
        table = TokenTable(database)
        return [
            create_token(
                table,
                CreateToken(
                    token_id=uuid7(),
                    secret=secrets.token_bytes(SECRET_BYTES),
                    actor_id=UUID(person.id),
                    roles=frozenset(person.roles),  # type: ignore[arg-type]
                    scope="all",
                    label="bench",
                    days=1,
                    now=datetime.now(UTC),
                ),
            )
            for person in people
        ]


def form_lines(system: System, names: Sequence[str], domain: str) -> list[str]:
    """The ids of forms of these names, made where they are missing."""
    with _database(system, "intake") as database, database.transaction() as connection:
        known = {line.name: str(line.line_id) for line in list_lines(connection)}
        for name in names:
            if name not in known:
                line = StoredLine(uuid7(), name, "form", f"{name}@{domain}", "ru", disabled=False, origins=())
                add_line(connection, line)
                known[name] = str(line.line_id)
        return [known[name] for name in names]
