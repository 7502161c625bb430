"""What a stack does, whichever way it runs."""

import asyncio
import contextlib
import time
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from deskline_local import kafka_wire
from deskline_local.errors import StillRunning
from deskline_local.stack import Stack

pytestmark = pytest.mark.component


def broker_cluster(stack: Stack, timeout: float = 2.0) -> str | None:
    host, _, port = stack.bootstrap.partition(":")
    return kafka_wire.cluster_id(host, int(port), timeout)


async def _write(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if topic not in await admin.list_topics():
            await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.start()
    try:
        await consumer.seek_to_beginning()
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


def write(stack: Stack, topic: str, value: bytes) -> None:
    asyncio.run(asyncio.wait_for(_write(stack.bootstrap, topic, value), 60))


def read(stack: Stack, topic: str, count: int) -> list[bytes]:
    return asyncio.run(asyncio.wait_for(_read(stack.bootstrap, topic, count), 60))


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, connect_timeout=10) as connection:
        return connection.execute(text).fetchall()


def execute(url: str, text: str) -> None:
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.execute(text)


class TestRunning:
    """On a running stack that these tests leave as it was."""

    def test_created_database_lowers_cyrillic_capitals(self, stack: Stack) -> None:
        made = stack.create_service_database("locale")
        found = query(made.runtime_url, "SELECT lower('ПРИВЕТ'), 'ПРИВЕТ' ILIKE 'привет'")
        assert found == [("привет", True)]
        [(provider, locale, encoding)] = query(
            made.runtime_url,
            "SELECT datlocprovider::text, datlocale, pg_encoding_to_char(encoding)"
            " FROM pg_database WHERE datname = current_database()",
        )
        assert (provider, locale, encoding) == ("b", "C.UTF-8", "UTF8")

    def test_creating_a_service_database_twice_changes_nothing(self, stack: Stack) -> None:
        first = stack.create_service_database("twice")
        execute(first.owner_url, "CREATE TABLE kept ()")
        assert stack.create_service_database("twice") == first
        assert query(first.owner_url, "SELECT to_regclass('kept') IS NOT NULL") == [(True,)]

    @pytest.mark.parametrize("role", ["owner_url", "runtime_url", "readonly_url"])
    def test_role_is_refused_by_another_services_database(self, stack: Stack, role: str) -> None:
        mine, other = stack.create_service_database("mine"), stack.create_service_database("other")
        url = getattr(mine, role).replace(f"/{mine.name}", f"/{other.name}")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            query(url, "SELECT 1")
        assert query(getattr(mine, role), "SELECT 1") == [(1,)]

    @pytest.mark.parametrize("role", ["runtime_url", "readonly_url"])
    def test_only_the_owner_creates_tables(self, stack: Stack, role: str) -> None:
        made = stack.create_service_database("tables")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(getattr(made, role), "CREATE TABLE refused ()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(getattr(made, role), "CREATE TEMPORARY TABLE refused ()")

    def test_wrong_password_is_refused(self, stack: Stack) -> None:
        made = stack.create_service_database("password")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            query(stack.database_url(made.name, "password_runtime", "guessed"), "SELECT 1")

    def test_databases_of_parallel_tests_have_their_own_roles(self, stack: Stack) -> None:
        one = stack.create_service_database("parallel", database="parallel_1")
        two = stack.create_service_database("parallel", database="parallel_2")
        assert query(one.runtime_url, "SELECT current_user::text") == [("parallel_1_runtime",)]
        stack.drop_service_database("parallel", database="parallel_1")
        assert query(two.runtime_url, "SELECT current_user::text") == [("parallel_2_runtime",)]
        left = query(stack.database_url(), "SELECT rolname FROM pg_roles WHERE rolname LIKE 'parallel_1%'")
        assert left == []

    def test_topics_are_not_created_by_use(self, stack: Stack) -> None:
        async def ask() -> set[str]:
            consumer = AIOKafkaConsumer("deskline.never.made", bootstrap_servers=stack.bootstrap)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(consumer.start(), 2)
            await consumer.stop()
            admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
            await admin.start()
            try:
                return set(await admin.list_topics())
            finally:
                await admin.close()

        assert "deskline.never.made" not in asyncio.run(ask())


class TestFaults:
    """On a stack of the test's own."""

    def test_committed_rows_survive_a_kill_of_postgres(self, own: Stack) -> None:
        url = own.create_service_database("faults").owner_url
        execute(url, "CREATE TABLE facts (n int)")
        execute(url, "INSERT INTO facts VALUES (1)")
        before = own.postgres.pid
        own.postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            query(url, "SELECT 1")
        own.postgres.start()
        assert own.postgres.pid != before
        assert query(url, "SELECT n FROM facts") == [(1,)]

    def test_acknowledged_records_survive_a_kill_of_kafka(self, own: Stack) -> None:
        write(own, "killed", b"one")
        cluster = broker_cluster(own)
        own.kafka.kill()
        assert broker_cluster(own) is None
        own.kafka.start()
        assert broker_cluster(own) == cluster
        write(own, "killed", b"two")
        assert read(own, "killed", 2) == [b"one", b"two"]

    def test_data_survive_a_stop_in_order(self, own: Stack) -> None:
        url = own.create_service_database("ordered").owner_url
        write(own, "stopped", b"kept")
        for server in (own.kafka, own.postgres):
            server.stop()
            server.stop()
            server.start()
            server.start()
        assert read(own, "stopped", 1) == [b"kept"]
        assert query(url, "SELECT 1") == [(1,)]

    def test_wiped_kafka_is_another_cluster(self, own: Stack) -> None:
        before = broker_cluster(own)
        with pytest.raises(StillRunning):
            own.kafka.wipe()
        own.kafka.kill()
        own.kafka.wipe()
        own.kafka.start()
        assert broker_cluster(own) not in {before, None}

    def test_wiped_postgres_is_empty_and_takes_the_same_passwords(self, own: Stack) -> None:
        before = own.create_service_database("wiped")
        execute(before.owner_url, "CREATE TABLE gone ()")
        own.postgres.stop()
        own.postgres.wipe()
        own.postgres.start()
        assert own.create_service_database("wiped") == before
        assert query(before.owner_url, "SELECT to_regclass('gone')::text") == [(None,)]

    def test_paused_kafka_is_silent_until_resumed(self, own: Stack) -> None:
        own.kafka.pause()
        assert broker_cluster(own, timeout=0.5) is None
        own.kafka.resume()
        deadline = time.monotonic() + 30
        while broker_cluster(own) is None:  # for a moment it may find that its own session has run out
            assert time.monotonic() < deadline

    def test_paused_postgres_is_silent_until_resumed(self, own: Stack) -> None:
        url = own.database_url()
        with psycopg.connect(url, autocommit=True) as connection:
            own.postgres.pause()
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(url, connect_timeout=2)
            own.postgres.resume()
            assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_paused_servers_can_be_killed_and_stopped(self, own: Stack) -> None:
        own.kafka.pause()
        own.postgres.pause()
        own.kafka.kill()
        own.postgres.stop()
        assert not own.kafka.running
        assert not own.postgres.running
        own.start()
        assert broker_cluster(own) is not None


async def _compacted(bootstrap: str) -> bytes | None:
    """The first value left of one key in a compacted topic with small segments, once the oldest are gone."""
    topic = "compacted"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    small = {"cleanup.policy": "compact", "segment.ms": "100", "max.compaction.lag.ms": "200"}
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=small)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 0)])
    await producer.start()
    await consumer.start()
    try:
        for number in range(1_000):
            await producer.send_and_wait(topic, str(number).encode(), key=b"k", partition=0)
            await consumer.seek_to_beginning()
            first = await consumer.getone()
            if first.value not in {b"0", b"1"}:
                return bytes(first.value)
        return None
    finally:
        await consumer.stop()
        await producer.stop()


@pytest.mark.component
def test_small_compacted_topic_is_compacted_within_seconds(stack: Stack) -> None:
    assert asyncio.run(asyncio.wait_for(_compacted(stack.bootstrap), 30)) is not None
