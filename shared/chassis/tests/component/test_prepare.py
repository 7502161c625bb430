"""What `prepare` makes of an empty server, of a second call, and of servers that are not there."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from psycopg.conninfo import make_conninfo
from pydantic_settings import SettingsConfigDict

from deskline_chassis import prepare as prepare_module
from deskline_chassis.postgres import check_locale
from deskline_chassis.prepare import NotPreparedError, load_preparation, prepare
from deskline_chassis.settings import ServiceSettings
from deskline_events.topics import all_topics
from deskline_local.ports import choose
from deskline_local.stack import Stack

pytestmark = pytest.mark.component

PACKAGE = "deskline_events"  # no migrations of its own: the chassis' tables alone


class IntakeSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DESKLINE_INTAKE_")


class Site:
    """An environment in which `prepare` runs; the database and the topics are this test's own."""

    def __init__(self, stack: Stack, patch: pytest.MonkeyPatch) -> None:
        self.name = f"prepared_{uuid4().hex[:8]}"
        self.prefix = f"{self.name}."
        self.admin = stack.database_url()
        self.urls = {
            variable: make_conninfo(
                self.admin, dbname=self.name, user=f"{self.name}_{role}", password=f"{role}-1"
            )
            for variable, role in (("MIGRATION", "owner"), ("DATABASE", "runtime"), ("READONLY", "readonly"))
        }
        self._patch = patch
        self.set("DESKLINE_KAFKA", stack.bootstrap)
        self.set("DESKLINE_TOPIC_PREFIX", self.prefix)
        self.set("DESKLINE_INTAKE_ADMIN_URL", self.admin)
        for variable, url in self.urls.items():
            self.set(f"DESKLINE_INTAKE_{variable}_URL", url)

    def set(self, variable: str, value: str) -> None:
        self._patch.setenv(variable, value)

    def prepare(self) -> list[str]:
        told: list[str] = []
        prepare(PACKAGE, load_preparation(IntakeSettings), told.append)
        return told

    def drop(self) -> None:
        with psycopg.connect(self.admin, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
            for role in ("owner", "runtime", "readonly"):
                admin.execute(f'DROP ROLE IF EXISTS "{self.name}_{role}"')


@pytest.fixture
def site(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(stack, monkeypatch)
    yield made
    made.drop()


async def topics(bootstrap: str, prefix: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        return {name for name in await admin.list_topics() if name.startswith(prefix)}
    finally:
        await admin.close()


def test_an_empty_server_gets_database_roles_schema_and_topics(site: Site, stack: Stack) -> None:
    told = site.prepare()
    assert told[0] == f"database {site.name}: created"
    with psycopg.connect(site.urls["DATABASE"]) as runtime:
        assert runtime.execute("SELECT count(*) FROM events").fetchone() == (0,)
        check_locale(runtime)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            runtime.execute("CREATE TABLE mine (n int)")
    with (
        psycopg.connect(site.urls["READONLY"]) as readonly,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        readonly.execute("SELECT FROM events")
    with psycopg.connect(site.urls["READONLY"], autocommit=True) as readonly:
        for reserved in ("pg_advisory_lock(1)", "pg_try_advisory_xact_lock(1, 2)", "lo_create(0)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                readonly.execute(f"SELECT {reserved}")  # it could stop the log's writers
    wanted = {f"{site.prefix}{topic.name}" for topic in all_topics() if topic.owner == "intake"}
    assert asyncio.run(topics(stack.bootstrap, site.prefix)) == wanted


def test_a_second_time_only_the_passwords_are_set_anew(site: Site) -> None:
    site.prepare()
    with psycopg.connect(site.urls["MIGRATION"]) as owner:
        owner.execute("INSERT INTO streams (subject, last) VALUES (gen_random_uuid(), 7)")
    changed = make_conninfo(site.urls["DATABASE"], password="changed")
    site.set("DESKLINE_INTAKE_DATABASE_URL", changed)
    assert site.prepare()[0] == f"database {site.name}: there already"
    with psycopg.connect(changed) as runtime:
        assert runtime.execute("SELECT last FROM streams").fetchone() == (7,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(site.urls["DATABASE"])


def test_a_role_enters_its_own_database_only(site: Site) -> None:
    site.prepare()
    with psycopg.connect(site.admin, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE \"{site.name}_stranger\" LOGIN PASSWORD 's'")
    try:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(
                make_conninfo(site.admin, dbname=site.name, user=f"{site.name}_stranger", password="s")
            )
    finally:
        with psycopg.connect(site.admin, autocommit=True) as admin:
            admin.execute(f'DROP ROLE "{site.name}_stranger"')


@pytest.mark.parametrize("server", ["PostgreSQL", "Kafka"])
def test_a_server_that_does_not_answer_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setattr(prepare_module, "PATIENCE_SECONDS", 1.0)
    port = choose()
    if server == "Kafka":
        site.set("DESKLINE_KAFKA", f"127.0.0.1:{port}")
    else:
        site.set("DESKLINE_INTAKE_ADMIN_URL", make_conninfo(site.admin, host="127.0.0.1", port=port))
    with pytest.raises(NotPreparedError, match=f"{server} not ready within 1 s") as refused:
        site.prepare()
    assert "runtime-1" not in str(refused.value)


def test_topics_that_the_operator_owns_are_named_and_not_made(
    site: Site, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "PATIENCE_SECONDS", 1.0)
    site.set("DESKLINE_MANAGE_TOPICS", "false")
    with pytest.raises(NotPreparedError, match=rf"{site.prefix}deskline\.intake\.keys"):
        site.prepare()
    assert asyncio.run(topics(stack.bootstrap, site.prefix)) == set()


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("READONLY_URL", "", "READONLY_URL: needed by DESKLINE_INTAKE_ADMIN_URL"),
        ("DATABASE_URL", "postgresql://a:secret-1@h/other", "MIGRATION_URL: the URLs name two databases"),
        ("DATABASE_URL", "postgresql://a@h/other", "MIGRATION_URL: a database URL has to name a user"),
        ("MIGRATION_URL", "", "MIGRATION_URL: is not set"),
    ],
    ids=["no read-only role", "two databases", "no password", "no owner"],
)
def test_a_wrong_environment_is_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], variable: str, value: str, line: str
) -> None:
    site.set(f"DESKLINE_INTAKE_{variable}", value)
    with pytest.raises(SystemExit) as ended:
        site.prepare()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"DESKLINE_INTAKE_{line}" in told
    assert len(told.splitlines()) == 1
    assert "secret-1" not in told
