"""Statements that were planned when a table was young stay quick when it has grown."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from shared.chassis.tests.house import NAME, House
from shared.chassis.tests.plans import analyse, looked_at

from deskline_chassis.inbox import StreamRow, lock_streams, write_streams
from deskline_chassis.postgres import Database

pytestmark = pytest.mark.component

YOUNG, BATCH, BATCHES = 60, 50, 40


@pytest.fixture
def session(house: House) -> Iterator[Database]:
    """One connection, so that its statements are prepared once."""
    database = Database(house.made.runtime_url, "plans", size=1)
    database.open()
    yield database
    database.close()


def apply(session: Database, number: int) -> None:
    with session.transaction() as connection:
        streams = [("intake", uuid4()) for _ in range(number)]
        found = lock_streams(connection, NAME, streams)
        assert len(found) == number
        lock_streams(connection, NAME, streams)
        write_streams(connection, NAME, {one: StreamRow(1, parked=False, waiting=False) for one in streams})


def test_rows_of_streams_are_found_by_their_keys_however_young_the_table_was(
    house: House, session: Database
) -> None:
    apply(session, YOUNG)
    analyse(house.made.owner_url, "reader_streams")
    for _ in range(10):
        # As often as it takes until PostgreSQL keeps the plan.
        apply(session, 1)
    with session.transaction() as connection:
        before = looked_at(connection, "reader_streams")
    for _ in range(BATCHES):
        apply(session, BATCH)
    with session.transaction() as connection:
        each = (looked_at(connection, "reader_streams") - before) / (BATCHES * BATCH)
    assert house.rows("SELECT count(*) FROM reader_streams") == [(YOUNG + 10 + BATCHES * BATCH,)]
    assert each <= 8
