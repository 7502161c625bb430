"""A service's database and its three roles, each able to enter its own database only."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from deskline_local.folder import Folder

ROLES = ("owner", "runtime", "readonly")
CREATION_LOCK = 0x6465736B  # two processes may create databases on one server

Address = Callable[[str, str | None, str | None], str]


@dataclass(frozen=True)
class ServiceDatabase:
    """Where a service's data lie, and as whom to go there."""

    name: str
    owner_url: str
    runtime_url: str
    readonly_url: str


def _names(service: str, database: str | None) -> tuple[str, dict[str, str]]:
    name = database or f"deskline_{service}"
    prefix = database or service
    return name, {role: f"{prefix}_{role}" for role in ROLES}


def create(folder: Folder, address: Address, service: str, database: str | None) -> ServiceDatabase:
    """Create what is missing; a second time nothing changes."""
    name, roles = _names(service, database)
    passwords = {role: folder.password(full) for role, full in roles.items()}
    with psycopg.connect(address("postgres", None, None), autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", [CREATION_LOCK])
        for role, full in roles.items():
            known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [full]).fetchone()
            verb = SQL("ALTER") if known else SQL("CREATE")
            admin.execute(
                SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, Identifier(full), Literal(passwords[role]))
            )
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            admin.execute(_creation(name, roles["owner"]))
        for statement in _rights(name, roles):
            admin.execute(statement)
    with psycopg.connect(address(name, None, None), autocommit=True) as inside:
        for statement in _schema_rights(roles):
            inside.execute(statement)
    urls = {role: address(name, full, passwords[role]) for role, full in roles.items()}
    return ServiceDatabase(name, urls["owner"], urls["runtime"], urls["readonly"])


def _creation(name: str, owner: str) -> Composed:
    return SQL(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin"
        " BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
    ).format(Identifier(name), Identifier(owner))


def _rights(name: str, roles: dict[str, str]) -> list[SQL | Composed]:
    database, guests = Identifier(name), [Identifier(roles["runtime"]), Identifier(roles["readonly"])]
    return [
        SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database),
        SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, SQL(", ").join(guests)),
    ]


def _schema_rights(roles: dict[str, str]) -> list[SQL | Composed]:
    guests = [Identifier(roles["runtime"]), Identifier(roles["readonly"])]
    return [
        SQL("ALTER SCHEMA public OWNER TO {}").format(Identifier(roles["owner"])),
        SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC"),
        SQL("GRANT USAGE ON SCHEMA public TO {}").format(SQL(", ").join(guests)),
    ]


def drop(folder: Folder, address: Address, service: str, database: str | None) -> None:
    """Remove the database, with whoever is connected to it, and its roles."""
    name, roles = _names(service, database)
    with psycopg.connect(address("postgres", None, None), autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", [CREATION_LOCK])
        admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        for full in roles.values():
            admin.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(full)))
            folder.forget(full)
