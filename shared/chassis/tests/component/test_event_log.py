"""The event log: ids in the order of commits, dense sequences, no falling times, sealed, unchangeable."""

import threading
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from deskline_chassis.event_log import Cause, EventLog, EventTooLargeError, NewEvent, SequenceTakenError
from deskline_chassis.personal_data import KeyRing, MissingKeyError, PersonErasedError
from deskline_chassis.postgres import SESSION_OPTIONS, Database, conninfo
from deskline_events.facts import MAX_DATA_BYTES
from deskline_events.intake import CompanyRegistered, ContactRegistered

pytestmark = pytest.mark.component


def company(stream: UUID, cause: Cause, sequence: int | None = None) -> NewEvent:
    return NewEvent(stream, CompanyRegistered(company_id=stream, locale="ru"), cause, sequence)


def contact(stream: UUID, cause: Cause, name: str) -> NewEvent:
    return NewEvent(stream, ContactRegistered(contact_id=stream, name=name, locale="ru"), cause)


def write(database: Database, log: EventLog, *events: NewEvent) -> list[Any]:
    with database.transaction() as connection:
        log.lock(connection)
        return list(log.append(connection, events))


class Follower(threading.Thread):
    """Reads `id > last` all the time, as a relay does."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.seen: list[int] = []
        self.done = threading.Event()
        self._url = url

    def run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while True:
                last = self.seen[-1] if self.seen else 0
                ending = self.done.is_set()
                rows = connection.execute(
                    "SELECT id FROM events WHERE id > %s ORDER BY id", (last,)
                ).fetchall()
                self.seen += [row[0] for row in rows]
                if ending and not rows:
                    return


def test_reader_of_the_next_ids_misses_none_of_parallel_writers(
    lone: Any, log: EventLog, cause: Cause
) -> None:
    made, database = lone
    follower = Follower(made.runtime_url)
    follower.start()
    shared = [uuid4() for _ in range(5)]

    threads = [threading.Thread(target=_writer, args=(database, log, cause, shared, n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    follower.done.set()
    follower.join(10)
    with database.transaction() as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM events ORDER BY id").fetchall()]
        gaps = connection.execute(
            "SELECT stream FROM events GROUP BY stream HAVING max(sequence) <> count(*) OR min(sequence) <> 1"
        ).fetchall()
    assert len(ids) == 4 * 30 * 2
    assert follower.seen == ids
    assert gaps == []


class RegretError(Exception):
    """A writer changes its mind."""


def _writer(database: Database, log: EventLog, cause: Cause, shared: list[UUID], number: int) -> None:
    for turn in range(40):
        try:
            with database.transaction() as connection:
                log.lock(connection)
                log.append(connection, [company(shared[(number + turn) % 5], cause), company(uuid4(), cause)])
                connection.execute("SELECT pg_sleep(0.002)")
                if turn % 4 == 0:
                    raise RegretError
        except RegretError:
            continue


def test_stopped_writer_stops_nobody_for_long_and_nothing_is_missed(
    lone: Any, log: EventLog, cause: Cause, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, database = lone
    follower = Follower(made.runtime_url)
    follower.start()
    before = write(database, log, company(uuid4(), cause))
    # Ours, but for the length: 10 s are long in a test.
    limits = {name: "1s" if name.startswith("idle_in") else value for name, value in SESSION_OPTIONS.items()}
    monkeypatch.setattr("deskline_chassis.postgres.SESSION_OPTIONS", limits)
    stopped = psycopg.connect(conninfo(made.runtime_url, "stopped"))
    log.lock(stopped)
    (lost,) = log.append(stopped, [company(uuid4(), cause)])
    after = write(database, log, company(uuid4(), cause))
    follower.done.set()
    follower.join(10)
    assert lost.stream != after[0].stream
    with database.transaction() as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM events ORDER BY id").fetchall()]
        kept = connection.execute("SELECT count(*) FROM events WHERE stream = %s", (lost.stream,)).fetchone()
    assert kept == (0,)
    assert len(ids) == len(before) + len(after)
    assert follower.seen == ids
    stopped.close()


def test_sequences_are_dense_over_rollbacks_and_in_one_batch(
    database: Database, log: EventLog, cause: Cause
) -> None:
    a, b = uuid4(), uuid4()
    write(database, log, company(a, cause))

    def regret(connection: Any) -> None:
        log.lock(connection)
        log.append(connection, [company(a, cause), company(b, cause)])
        raise RegretError

    with pytest.raises(RegretError):
        database.run(regret)
    appended = write(database, log, company(a, cause), company(b, cause), company(a, cause))
    assert [(event.stream, event.sequence) for event in appended] == [(a, 2), (b, 1), (a, 3)]
    with database.transaction() as connection:
        stored = connection.execute(
            "SELECT stream, sequence FROM events WHERE stream IN (%s, %s) ORDER BY id", (a, b)
        ).fetchall()
    assert stored == [(a, 1), (a, 2), (b, 1), (a, 3)]


def test_time_never_falls(lone: Any, log: EventLog, cause: Cause) -> None:
    _, database = lone
    first = write(database, log, company(uuid4(), cause))[0]
    with database.transaction() as connection:
        connection.execute("UPDATE log_head SET last_time = last_time + interval '1 hour'")
        (ahead,) = connection.execute("SELECT last_time FROM log_head").fetchone() or (None,)
    second, third = (write(database, log, company(uuid4(), cause))[0] for _ in range(2))
    assert first.time < ahead == second.time == third.time


def test_taken_sequence_is_refused_and_nothing_stays(database: Database, log: EventLog, cause: Cause) -> None:
    a, b = uuid4(), uuid4()
    write(database, log, company(a, cause, 1))
    with pytest.raises(SequenceTakenError):
        write(database, log, company(b, cause, 1), company(a, cause, 1))
    with database.transaction() as connection:
        found = connection.execute("SELECT stream FROM events WHERE stream IN (%s, %s)", (a, b)).fetchall()
    assert found == [(a,)]


def test_event_over_the_limit_is_refused(
    database: Database, log: EventLog, ring: KeyRing, cause: Cause
) -> None:
    a = uuid4()
    with database.transaction() as connection:
        log.lock(connection)
        ring.register(connection, [a])
    assert write(database, log, contact(a, cause, "x" * 190_000))
    large = contact(a, cause, "x" * 200_000)
    # Sealed text is larger than clear text: it is what counts.
    assert len(large.fact.model_dump_json()) < MAX_DATA_BYTES
    with pytest.raises(EventTooLargeError):
        write(database, log, large)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE events SET type = 'x'", "DELETE FROM events", "TRUNCATE events", "ALTER TABLE events ADD x int"],
)
def test_runtime_role_cannot_change_history(database: Database, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction() as connection:
        connection.execute(statement)


def test_personal_text_is_sealed_where_it_is_stored(
    database: Database, log: EventLog, ring: KeyRing, cause: Cause
) -> None:
    a, word = uuid4(), f"canary{uuid4().hex}"
    with database.transaction() as connection:
        log.lock(connection)
        ring.register(connection, [a])
        log.append(connection, [contact(a, cause, word)])
    with database.transaction() as connection:
        (data,) = connection.execute("SELECT data::text FROM events WHERE stream = %s", (a,)).fetchone() or (
            "",
        )
        tables = [
            row[0]
            for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        for table in set(tables) - {"alembic_version"}:
            row = connection.execute(
                f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", (f"%{word}%",)
            ).fetchone()
            assert row == (0,), table
    assert str(a) in data


def test_person_without_a_key_and_an_erased_one_take_no_text(
    database: Database, log: EventLog, ring: KeyRing, cause: Cause
) -> None:
    a = uuid4()
    with pytest.raises(MissingKeyError):
        write(database, log, contact(a, cause, "Анна"))
    with database.transaction() as connection:
        log.lock(connection)
        ring.register(connection, [a])
        ring.register(connection, [a])
        assert ring.erase(connection, a)
        assert not ring.erase(connection, a)
        ring.register(connection, [a])
    with pytest.raises(PersonErasedError):
        write(database, log, contact(a, cause, "Анна"))
    write(database, log, NewEvent(a, ContactRegistered(contact_id=a, locale="ru"), cause))
