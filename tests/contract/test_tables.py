"""Contracts with whoever looks into a database: what each table is, and who may do what to it."""

from collections.abc import Iterator
from importlib import import_module
from uuid import uuid4

import psycopg
import pytest

from deskline_chassis.migrate import migrate, table_kinds
from deskline_chassis.postgres import check_locale
from deskline_local.stack import ServiceDatabase, Stack

pytestmark = pytest.mark.contract

SERVICES = ("intake", "tickets", "routing", "sla", "notify", "analytics", "gateway")


@pytest.fixture(scope="module", params=SERVICES)
def database(request: pytest.FixtureRequest, stack: Stack) -> Iterator[ServiceDatabase]:
    name = f"tables_{request.param}_{uuid4().hex[:8]}"
    place = stack.create_service_database(request.param, name)
    package = import_module(f"deskline_{request.param}").__name__
    for _ in range(2):  # a second migration finds nothing to do
        migrate(place.owner_url, package, f"{name}_runtime", f"{name}_readonly")
    yield place
    stack.drop_service_database(request.param, name)


def test_every_table_says_whether_it_is_truth_or_a_read_model(database: ServiceDatabase) -> None:
    with psycopg.connect(database.owner_url) as connection:
        assert table_kinds(connection)["public", "events"] == "truth, append-only"


def test_no_column_makes_an_id_by_itself(database: ServiceDatabase) -> None:
    with psycopg.connect(database.owner_url) as connection:
        found = connection.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " WHERE column_default ~* 'uuid[a-z0-9_]*[(]'"
        ).fetchall()
    assert found == []


def test_runtime_role_changes_nothing_that_is_append_only(database: ServiceDatabase) -> None:
    with psycopg.connect(database.owner_url) as connection:
        tables = [name for name, kind in table_kinds(connection).items() if kind == "truth, append-only"]
    assert ("public", "events") in tables
    with psycopg.connect(database.runtime_url, autocommit=True) as connection:
        for schema, table in tables:
            for right in ("UPDATE", "DELETE", "TRUNCATE"):
                row = connection.execute(
                    "SELECT has_table_privilege(%s, %s)", (f"{schema}.{table}", right)
                ).fetchone()
                assert row == (False,), f"{right} on {schema}.{table}"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM events")


def test_runtime_role_makes_no_tables(database: ServiceDatabase) -> None:
    with (
        psycopg.connect(database.runtime_url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE intruder (id integer)")


def test_readonly_role_reads_no_table(database: ServiceDatabase) -> None:
    with (
        psycopg.connect(database.readonly_url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT 1 FROM events")


def test_database_has_the_builtin_locale(database: ServiceDatabase) -> None:
    with psycopg.connect(database.runtime_url) as connection:
        check_locale(connection)


def test_another_services_role_does_not_get_in(database: ServiceDatabase, stack: Stack) -> None:
    other = stack.create_service_database("intake", f"other_{uuid4().hex[:8]}")
    try:
        wrong = f"{other.runtime_url.removesuffix(other.name)}{database.name}"
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(wrong)
    finally:
        stack.drop_service_database("intake", other.name)
