"""A service's database and its three roles, each able to enter its own database only (ADR 0012, 0013)."""

from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Composed, Identifier, Literal

# Several processes may create databases on one server: CREATE DATABASE copies a template nobody else may use.
CREATION_LOCK: Final = 0x6465736B
_RESERVED: Final = (
    "^(pg_(try_)?advisory_(xact_)?lock(_shared)?"
    "|lo_(creat|create|from_bytea|put|unlink|truncate|truncate64)|lowrite)$"
)


class IncompleteUrlError(ValueError):
    """A database URL names no user, no password or no database, or the URLs name different databases."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class Login:
    """A role that may sign in, and its password."""

    role: str
    password: str


@dataclass(frozen=True, slots=True)
class ServiceDatabase:
    """What is to exist: the database, its owner, and the guests who may connect: first the runtime role."""

    name: str
    owner: Login
    guests: tuple[Login, ...]

    @classmethod
    def named_by(cls, owner_url: str, *guest_urls: str) -> "ServiceDatabase":
        """What these URLs sign in to; raises IncompleteUrlError, which shows no URL."""
        name, owner = _login(owner_url)
        guests = []
        for url in guest_urls:
            database, guest = _login(url)
            if database != name:
                raise IncompleteUrlError(f"the URLs name two databases: {name} and {database}")
            guests.append(guest)
        return cls(name, owner, tuple(guests))


def create_database(admin_url: str, wanted: ServiceDatabase) -> bool:
    """Create what is missing and set the passwords, as a superuser; gives whether the database is new.

    A second time nothing changes. Raises psycopg.Error.
    """
    logins = (wanted.owner, *wanted.guests)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", [CREATION_LOCK])
        for login in logins:
            known = admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [login.role]).fetchone()
            verb = SQL("CREATE") if known is None else SQL("ALTER")
            admin.execute(
                SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    verb, Identifier(login.role), Literal(login.password)
                )
            )
        is_new = admin.execute("SELECT FROM pg_database WHERE datname = %s", [wanted.name]).fetchone() is None
        if is_new:
            admin.execute(_creation(wanted))
        database = Identifier(wanted.name)
        admin.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        admin.execute(_for_guests("GRANT CONNECT ON DATABASE {} TO {}", database, wanted))
    with psycopg.connect(make_conninfo(admin_url, dbname=wanted.name), autocommit=True) as inside:
        inside.execute(SQL("ALTER SCHEMA public OWNER TO {}").format(Identifier(wanted.owner.role)))
        inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        inside.execute(_for_guests("GRANT USAGE ON SCHEMA {} TO {}", Identifier("public"), wanted))
        for statement in _reserved_functions(inside, wanted):
            inside.execute(statement)
    return is_new


def _creation(wanted: ServiceDatabase) -> Composed:
    return SQL(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin"
        " BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
    ).format(Identifier(wanted.name), Identifier(wanted.owner.role))


def _reserved_functions(
    inside: psycopg.Connection[tuple[object, ...]], wanted: ServiceDatabase
) -> list[Composed]:
    # By default everybody may take an advisory lock, and so stop the log's writers; and write large objects.
    found = inside.execute(
        "SELECT oid::regprocedure::text, proname ~ 'advisory' FROM pg_proc"
        " WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ %s",
        [_RESERVED],
    ).fetchall()
    users = SQL(", ").join(Identifier(role) for role in (wanted.owner.role, wanted.guests[0].role))
    statements = []
    for signature, is_lock in found:
        # A signature as the server itself writes it.
        function = SQL(str(signature))
        statements.append(SQL("REVOKE EXECUTE ON FUNCTION pg_catalog.{} FROM PUBLIC").format(function))
        if is_lock:
            statements.append(SQL("GRANT EXECUTE ON FUNCTION pg_catalog.{} TO {}").format(function, users))
    return statements


def _for_guests(statement: LiteralString, thing: Identifier, wanted: ServiceDatabase) -> Composed:
    guests = SQL(", ").join(Identifier(guest.role) for guest in wanted.guests)
    return SQL(statement).format(thing, guests)


def _login(url: str) -> tuple[str, Login]:
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise IncompleteUrlError("a database URL can't be read") from None
    name, role, password = (parts.get(key) for key in ("dbname", "user", "password"))
    if not (name and role and password):
        raise IncompleteUrlError("a database URL has to name a user, a password and a database")
    return str(name), Login(str(role), str(password))
