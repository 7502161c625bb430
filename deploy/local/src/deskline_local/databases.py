"""The service databases of a stack: their names, passwords that last, and addresses."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from deskline_chassis.databases import CREATION_LOCK, Login, create_database
from deskline_chassis.databases import ServiceDatabase as Wanted
from deskline_local.folder import Folder

ROLES = ("owner", "runtime", "readonly")

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
    logins = {role: Login(full, folder.password(full)) for role, full in roles.items()}
    wanted = Wanted(name, logins["owner"], (logins["runtime"], logins["readonly"]))
    create_database(address("postgres", None, None), wanted)
    urls = {role: address(name, login.role, login.password) for role, login in logins.items()}
    return ServiceDatabase(name, urls["owner"], urls["runtime"], urls["readonly"])


def drop(folder: Folder, address: Address, service: str, database: str | None) -> None:
    """Remove the database, with whoever is connected to it, and its roles."""
    name, roles = _names(service, database)
    with psycopg.connect(address("postgres", None, None), autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", [CREATION_LOCK])
        admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        for full in roles.values():
            admin.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(full)))
            folder.forget(full)
