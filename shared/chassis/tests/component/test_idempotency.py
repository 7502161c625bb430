"""Answers are kept under their key, for one command, for a day."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
from shared.chassis.tests.plans import looked_at

from deskline_chassis.idempotency import Answer, KeyedCommand, KeyReusedError, find_answer, keep_answer
from deskline_chassis.postgres import BY_KEYS, Conn, conninfo
from deskline_local.stack import ServiceDatabase

pytestmark = pytest.mark.component

TABLE = """
CREATE TEMPORARY TABLE idempotency_keys (
  actor_id uuid NOT NULL,
  key text NOT NULL,
  action text NOT NULL,
  body_hash bytea NOT NULL,
  status integer NOT NULL,
  answer json NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (actor_id, key)
);
CREATE INDEX ON idempotency_keys (created_at);
"""
COMMAND = KeyedCommand(UUID(int=1), "key", "POST /v1/tickets", b"hash")
KEPT_TODAY, COMMANDS = 1000, 50
ANSWER = Answer(201, {"version": 1, "word": "да"})


@pytest.fixture
def connection(shared_database: ServiceDatabase) -> Iterator[Conn]:
    with psycopg.connect(shared_database.owner_url) as connection:
        connection.execute(TABLE)
        yield connection
        connection.rollback()


def test_an_answer_is_told_again(connection: Conn) -> None:
    assert find_answer(connection, COMMAND) is None
    keep_answer(connection, COMMAND, ANSWER)
    assert find_answer(connection, COMMAND) == ANSWER


@pytest.mark.parametrize("other", [{"action": "POST /v1/lines"}, {"body_hash": b"other"}])
def test_a_key_is_for_one_command(connection: Conn, other: dict[str, str | bytes]) -> None:
    keep_answer(connection, COMMAND, ANSWER)
    with pytest.raises(KeyReusedError):
        find_answer(connection, replace(COMMAND, **other))  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [{"actor_id": UUID(int=2)}, {"key": "another"}])
def test_a_key_is_its_actors_own(connection: Conn, other: dict[str, UUID | str]) -> None:
    keep_answer(connection, COMMAND, ANSWER)
    assert find_answer(connection, replace(COMMAND, **other)) is None  # type: ignore[arg-type]


def test_what_is_past_its_day_is_swept_by_the_next_command(connection: Conn) -> None:
    for hours in (23, 25, 30):
        keep_answer(connection, replace(COMMAND, key=str(hours)), ANSWER)
        connection.execute(
            "UPDATE idempotency_keys SET created_at = clock_timestamp() - make_interval(hours => %s)"
            " WHERE key = %s",
            (hours, str(hours)),
        )
    keep_answer(connection, COMMAND, ANSWER)
    kept = connection.execute("SELECT key FROM idempotency_keys ORDER BY key").fetchall()
    assert kept == [("23",), ("key",)]


def test_what_is_kept_of_a_busy_day_is_not_read_by_each_command(shared_database: ServiceDatabase) -> None:
    with psycopg.connect(conninfo(shared_database.owner_url, "keys", **BY_KEYS)) as connection:
        connection.execute(TABLE)
        for number in range(KEPT_TODAY):
            keep_answer(connection, replace(COMMAND, key=f"{number}"), ANSWER)
        connection.commit()
        before = looked_at(connection, "idempotency_keys")
        for number in range(COMMANDS):
            keep_answer(connection, replace(COMMAND, key=f"more {number}"), ANSWER)
        each = (looked_at(connection, "idempotency_keys") - before) / COMMANDS
    assert each <= 4
