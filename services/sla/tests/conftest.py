"""Databases of sla, and replicas on them."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from services.sla.tests.replica import Replica, Tickets

from deskline_chassis.migrate import migrate
from deskline_local.databases import ServiceDatabase
from deskline_local.stack import Stack


@pytest.fixture(scope="session")
def new_base(stack: Stack) -> Callable[[], ServiceDatabase]:
    """Another empty database of sla, migrated."""

    def make() -> ServiceDatabase:
        name = f"sla_{uuid4().hex[:10]}"
        base = stack.create_service_database("sla", name)
        migrate(base.owner_url, "deskline_sla", f"{name}_runtime", f"{name}_readonly")
        return base

    return make


@pytest.fixture(scope="session")
def one_base(new_base: Callable[[], ServiceDatabase]) -> ServiceDatabase:
    return new_base()


@pytest.fixture
def base(one_base: ServiceDatabase) -> ServiceDatabase:
    """The same database for each test that needs only one, emptied before."""
    with psycopg.connect(one_base.owner_url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(%s)",
            (["alembic_version", "log_head", "relay"],),
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in tables)
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(names))
    return one_base


@pytest.fixture
def tickets() -> Tickets:
    return Tickets()


@pytest.fixture
def sla(base: ServiceDatabase, tickets: Tickets) -> Iterator[Replica]:
    made = Replica(base)
    made.know_customer(tickets)
    yield made
    made.close()


@pytest.fixture
def other(base: ServiceDatabase) -> Iterator[Replica]:
    """Another replica on the same database."""
    made = Replica(base)
    yield made
    made.close()
