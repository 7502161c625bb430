"""Migrations: the chassis' tables and the service's own, then the grants that the comments ask for."""

import re
from importlib.resources import files
from typing import Final

import psycopg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine, pool

_KINDS: Final = re.compile(r"^(truth, append-only|truth|read model): ")
# Two replicas may be told to migrate at once; the second waits and finds nothing to do.
_MIGRATION_LOCK: Final = 0x6465736B6C696E65


class UndeclaredTableError(Exception):
    """A table does not say in its comment whether it is truth or a read model."""

    safe_message = True


def migrate(url: str, package: str, runtime_role: str, readonly_role: str) -> None:
    """Bring a database to the newest schema as its owner; `url` is the owner's, `package` the service's.

    Idempotent. Raises psycopg and SQLAlchemy errors, UndeclaredTableError.
    """
    with psycopg.connect(url, autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        _upgrade(url, package)
        with psycopg.connect(url) as connection:
            grant(connection, runtime_role, readonly_role)


def _upgrade(url: str, package: str) -> None:
    config = Config()
    chassis = files("deskline_chassis") / "migrations"
    locations = [chassis / "versions"]
    own = files(package) / "migrations"
    if own.is_dir():
        locations.append(own)
    config.set_main_option("script_location", str(chassis).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option(
        "version_locations", "\n".join(str(place).replace("%", "%%") for place in locations)
    )
    scripts = ScriptDirectory.from_config(config)
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=pool.NullPool
    )

    def steps(revision: object, _context: object) -> object:
        return scripts._upgrade_revs("heads", revision)  # type: ignore[arg-type] # noqa: SLF001 -- alembic's own env.py way

    with (
        engine.connect() as connection,
        EnvironmentContext(config, scripts, fn=steps) as environment,
    ):
        environment.configure(connection=connection, transaction_per_migration=True)
        with environment.begin_transaction():
            environment.run_migrations()
        connection.commit()
    engine.dispose()


def table_kinds(connection: psycopg.Connection[tuple[object, ...]]) -> dict[tuple[str, str], str]:
    """(schema, table) → `truth, append-only`, `truth` or `read model`; raises UndeclaredTableError."""
    rows = connection.execute(
        "SELECT n.nspname, c.relname, obj_description(c.oid) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
        " AND c.relname <> 'alembic_version' ORDER BY 1, 2"
    ).fetchall()
    kinds: dict[tuple[str, str], str] = {}
    for schema, table, comment in rows:
        kind = _KINDS.match(str(comment or ""))
        if kind is None:
            raise UndeclaredTableError(f"{schema}.{table} does not say whether it is truth or a read model")
        kinds[str(schema), str(table)] = kind.group(1)
    return kinds


def grant(connection: psycopg.Connection[tuple[object, ...]], runtime_role: str, readonly_role: str) -> None:
    """Give the runtime role what each table's kind allows, the read-only role the analysts' schema."""
    runtime, readonly = sql.Identifier(runtime_role), sql.Identifier(readonly_role)
    schemas = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
    ).fetchall()
    for (name,) in schemas:
        schema = sql.Identifier(str(name))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, runtime))
        connection.execute(
            sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {} TO {}").format(schema, runtime)
        )
        if name == "analyst":
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, readonly))
            connection.execute(
                sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(schema, readonly)
            )
    for (schema_name, table_name), kind in table_kinds(connection).items():
        table = sql.Identifier(schema_name, table_name)
        rights = "SELECT, INSERT" if kind == "truth, append-only" else "SELECT, INSERT, UPDATE, DELETE"
        connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(table, runtime))
        connection.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), table, runtime))
