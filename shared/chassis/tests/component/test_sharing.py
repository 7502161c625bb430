"""Works of several threads share a commit; the fault of one undoes its own alone."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from deskline_chassis.postgres import Conn, Database
from deskline_chassis.sharing import SharedTransactions
from deskline_local.stack import ServiceDatabase

pytestmark = pytest.mark.component

TABLE = "CREATE TABLE works (number int PRIMARY KEY, transaction xid8 DEFAULT pg_current_xact_id())"
SECONDS = 20.0


class Works:
    """Works that write a number each; the first waits in its transaction until the others stand behind it."""

    def __init__(self, database: Database) -> None:
        self.shared = SharedTransactions(database)
        self._threads = ThreadPoolExecutor(20)
        self._first = threading.Event()
        self._go = threading.Event()

    def first(self) -> Future[int]:
        def work(connection: Conn) -> int:
            self._first.set()
            assert self._go.wait(SECONDS)
            return write(connection, 0)

        running = self._threads.submit(self.shared.run, work)
        assert self._first.wait(SECONDS)
        return running

    def behind(self, *works: Callable[[Conn], int]) -> list[Future[int]]:
        running = [self._threads.submit(self.shared.run, work) for work in works]
        pause = threading.Event()
        for _ in range(int(SECONDS / 0.01)):
            if len(self.shared._waiting) == len(works):
                break
            pause.wait(0.01)
        assert len(self.shared._waiting) == len(works)
        self._go.set()
        return running


def write(connection: Conn, number: int) -> int:
    connection.execute("INSERT INTO works (number) VALUES (%s)", (number,))
    return number


def writing(number: int) -> Callable[[Conn], int]:
    return lambda connection: write(connection, number)


@pytest.fixture
def works(lone: tuple[ServiceDatabase, Database]) -> Works:
    made, database = lone
    with psycopg.connect(made.owner_url) as connection:
        connection.execute(TABLE)
        connection.execute("GRANT ALL ON works TO PUBLIC")
    return Works(database)


def told(works: Works, statement: str) -> list[tuple[object, ...]]:
    return works.shared.run(lambda connection: connection.execute(statement).fetchall())


def test_those_who_came_meanwhile_share_one_transaction(works: Works) -> None:
    first = works.first()
    running = works.behind(*(writing(number) for number in range(1, 17)))
    assert first.result(SECONDS) == 0
    assert [one.result(SECONDS) for one in running] == list(range(1, 17))
    assert told(works, "SELECT count(*) FROM works GROUP BY transaction ORDER BY 1") == [(1,), (16,)]


def test_a_fault_undoes_its_own_work_alone(works: Works) -> None:
    def twice(connection: Conn) -> int:
        write(connection, 5)
        return write(connection, 5)

    first = works.first()
    one, bad, two = works.behind(writing(1), twice, writing(2))
    assert (first.result(SECONDS), one.result(SECONDS), two.result(SECONDS)) == (0, 1, 2)
    with pytest.raises(psycopg.errors.UniqueViolation):
        bad.result(SECONDS)
    assert told(works, "SELECT number FROM works ORDER BY 1") == [(0,), (1,), (2,)]


def test_nothing_is_told_as_done_that_was_not_committed(works: Works) -> None:
    def end(connection: Conn) -> int:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return 9

    def refuse(_connection: Conn) -> int:
        raise LookupError("because of the first, which will be undone")

    first = works.first()
    running = works.behind(writing(1), refuse, end, writing(2))
    assert first.result(SECONDS) == 0
    for one in running:
        with pytest.raises(psycopg.OperationalError):
            one.result(SECONDS)
    assert told(works, "SELECT number FROM works") == [(0,)]
    assert works.shared.run(writing(3)) == 3, "who comes later finds somebody to lead"


def test_more_than_one_transaction_holds_are_led_on(works: Works) -> None:
    first = works.first()
    running = works.behind(*(writing(number) for number in range(1, 11)))
    more = [works.shared.run(writing(number)) for number in range(100, 140)]
    assert more == list(range(100, 140))
    assert {one.result(SECONDS) for one in [first, *running]} == set(range(11))
