"""What analysts may do with the read-only role, and what they may not; and the limits that the guide sets."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from services.analytics.tests.dated import Dated
from services.analytics.tests.read_models import ReadModels, read_models

from deskline_local.stack import Stack

pytestmark = pytest.mark.component

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "analyse.md"
SECRETS = ("positions", "parked_records", "waiting_records", "known_keys", "person_keys", "events")
WRITES = (
    "CREATE TABLE public.mine (one integer)",
    "CREATE TABLE analyst.mine (one integer)",
    "CREATE TEMPORARY TABLE mine (one integer)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION analyst.one() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "INSERT INTO analyst.lines VALUES (gen_random_uuid(), 'n', 'email', 'ru')",
    "UPDATE analyst.teams SET name = 'mine'",
    "DELETE FROM analyst.notifications",
    "DELETE FROM public.daily_flow",
    "TRUNCATE public.daily_flow",
    "COPY analyst.lines TO PROGRAM 'cat'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT lo_create(0)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
    "ALTER ROLE {role} CONNECTION LIMIT 100",
    "SET ROLE {runtime}",
)
LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "1min",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "1min",
    "idle_session_timeout": "1h",
    "temp_file_limit": "2GB",
    "TimeZone": "UTC",
}
CONNECTIONS = 8

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def models(stack: Stack) -> Iterator[ReadModels]:
    with read_models(stack) as made:
        made.tell(Dated(seed=5).live(tickets=4, events=60).events())
        yield made


@pytest.fixture
def readonly(models: ReadModels) -> Iterator[Connection]:
    with psycopg.connect(models.database.readonly_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def limited(stack: Stack, models: ReadModels) -> str:
    """The role's URL, once the guide's statements were executed by a superuser."""
    (block,) = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    statements = block.replace("analytics_readonly", models.readonly_role).split(";")
    with psycopg.connect(stack.database_url(), autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement.encode())
    return models.database.readonly_url


def test_the_role_is_nothing_but_a_guest(readonly: Connection) -> None:
    assert readonly.execute(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,"
        " EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)"
        " FROM pg_roles r WHERE rolname = current_user"
    ).fetchall() == [(False,) * 6]
    owned = readonly.execute("SELECT count(*) FROM pg_class WHERE relowner = to_regrole(current_user::text)")
    assert owned.fetchone() == (0,)


def test_the_role_reads_no_relation_outside_the_analysts_schema(
    readonly: Connection, models: ReadModels
) -> None:
    with psycopg.connect(models.database.owner_url) as owner:
        others = owner.execute(
            "SELECT c.oid::regclass::text, c.relkind::text FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('public', 'rebuilt') AND c.relkind IN ('r', 'p', 'v', 'm', 'S')"
        ).fetchall()
    names = {name for name, _ in others}
    assert set(SECRETS) | {"open_tickets", "ticket_documents", "operators"} <= names
    for name in names:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            readonly.execute(f"SELECT * FROM public.{name} LIMIT 1")


@pytest.mark.parametrize("statement", WRITES)
def test_the_role_writes_nothing_whatever_its_session_is_set_to(
    readonly: Connection, models: ReadModels, statement: str
) -> None:
    readonly.execute("SET default_transaction_read_only = off")
    asked = statement.format(role=models.readonly_role, runtime=f"{models.database.name}_runtime")
    # A view over a join is refused before rights are looked at.
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)):
        readonly.execute(asked.encode())


def test_the_guides_limits_are_what_a_session_begins_with(limited: str) -> None:
    with psycopg.connect(limited, autocommit=True) as connection:
        found = {name: connection.execute(f"SHOW {name}").fetchone() for name in LIMITS}
        assert found == {name: (value,) for name, value in LIMITS.items()}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET temp_file_limit = -1")
        connection.execute("SET statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT count(*) FROM generate_series(1, 1e12)")


def test_analysts_leave_the_service_its_connections(limited: str, models: ReadModels) -> None:
    with contextlib.ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(psycopg.connect(limited))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(limited)
        with psycopg.connect(models.database.runtime_url) as runtime:
            assert runtime.execute("SELECT count(*) FROM open_tickets").fetchone() == (4,)
