"""Deadlines on a real database: each fires once, late rather than never, and none holds up another."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from shared.chassis.tests.house import NAME, House, running, until

from deskline_chassis import metrics
from deskline_chassis.applying import Transaction
from deskline_chassis.deadlines import (
    TRIES,
    Deadline,
    Deadlines,
    failed_deadlines,
    fire_deadlines,
    retry_deadlines,
)
from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.loops import Beat
from deskline_chassis.postgres import Database
from deskline_chassis.watermarks import Watermarks
from deskline_events.intake import CompanyRegistered
from deskline_local.stack import ServiceDatabase, Stack

pytestmark = [pytest.mark.component, pytest.mark.anyio]

KIND = "breach"
ROOT = Path(__file__).parents[4]


@dataclass
class Desk:
    """Fires deadlines by an event each, and does with some of them what it is told."""

    database: Database
    log: EventLog
    deadlines: Deadlines
    waiting: Callable[[Transaction, Deadline], bool] = lambda _transaction, _deadline: False
    failing: dict[UUID, Exception] = field(default_factory=dict)
    calls: list[int] = field(default_factory=list)
    early: list[Deadline] = field(default_factory=list)

    def fire(self, transaction: Transaction, due: Sequence[Deadline], now: datetime) -> Collection[Deadline]:
        self.calls.append(len(due))
        self.early += [one for one in due if one.due_at > now]
        back = [one for one in due if self.waiting(transaction, one)]
        fired = [one for one in due if one not in back]
        facts = [CompanyRegistered(company_id=one.subject, tier=one.key, locale="ru") for one in fired]
        self.log.append(
            transaction.connection,
            [NewEvent(fact.company_id, fact, Cause(uuid4())) for fact in facts],
        )
        for one in due:
            if one.subject in self.failing:
                raise self.failing[one.subject]
        return back

    @asynccontextmanager
    async def firing(self, beat: Beat | None = None) -> AsyncIterator[None]:
        run = fire_deadlines(self.database, self.log, {KIND: self.fire})
        told = beat or Beat()
        async with running(lambda _beat, stop: run(told, stop)):
            yield

    def arm(self, *armed: Deadline) -> None:
        with self.database.transaction() as connection:
            self.log.lock(connection)
            self.deadlines.arm(connection, armed)

    def cancel(self, subject: UUID, keys: Collection[str] | None = None) -> int:
        with self.database.transaction() as connection:
            self.log.lock(connection)
            return self.deadlines.cancel(connection, KIND, subject, keys)

    def due(
        self, seconds: float, key: str = "first", subject: UUID | None = None, generation: int = 1
    ) -> Deadline:
        now: datetime = self.rows("SELECT clock_timestamp()")[0][0]
        return Deadline(KIND, subject or uuid4(), key, generation, now + timedelta(seconds=seconds), {"a": 1})

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return connection.execute(statement, values).fetchall()

    def fired(self) -> list[tuple[UUID, str, int]]:
        """What was recorded as fired, which must be what was announced."""
        # In one statement: between two, another batch may be committed.
        both = self.rows(
            "SELECT subject, key, generation, fired_at FROM fired_deadlines"
            " UNION ALL SELECT stream, data->>'tier', NULL, NULL FROM events ORDER BY 4, 1, 2"
        )
        found = [(subject, key, generation) for subject, key, generation, at in both if at is not None]
        events = [(subject, key) for subject, key, _, at in both if at is None]
        assert sorted(events) == sorted((subject, key) for subject, key, _ in found)
        return found

    def states(self) -> dict[str, int]:
        return dict(self.rows("SELECT state, count(*)::int FROM deadlines GROUP BY state"))


@pytest.fixture
def desk(lone: tuple[ServiceDatabase, Database], log: EventLog) -> Desk:
    return Desk(lone[1], log, Deadlines(log))


async def test_fires_when_due_never_earlier_and_once(desk: Desk) -> None:
    soon, past, later = desk.due(0.6, "soon"), desk.due(-3600, "past"), desk.due(60, "later")
    desk.arm(soon, past, later)
    async with desk.firing():
        await until("both", lambda: len(desk.fired()) == 2)
        assert [key for _, key, _ in desk.fired()] == ["past", "soon"]
        late = desk.rows("SELECT max(fired_at - due_at) FROM fired_deadlines WHERE key = 'soon'")[0][0]
        assert timedelta() <= late < timedelta(seconds=2)
        async with desk.firing():
            await asyncio.sleep(0.6)  # two loops find nothing more
    assert len(desk.fired()) == 2
    assert not desk.early
    with desk.database.transaction() as connection:
        assert desk.deadlines.pending(connection, later.subject) == [later]
        assert desk.deadlines.pending(connection, soon.subject) == []


async def test_arming_in_the_same_process_wakes_the_loop_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskline_chassis.deadlines.POLL_SECONDS", 4.0)
    async with desk.firing():
        desk.arm(desk.due(0, "first look"))
        await until("the first look", lambda: desk.calls)
        desk.arm(desk.due(0.4, "later"), desk.due(0, "at once"))
        await until("both", lambda: len(desk.fired()) == 3, 10)
    assert desk.rows("SELECT max(fired_at - due_at) < '1.5 s' FROM fired_deadlines WHERE key = 'later'") == [
        (True,)
    ]


async def test_only_a_higher_generation_replaces(desk: Desk) -> None:
    first = desk.due(30, generation=2)
    subject = first.subject
    desk.arm(first)
    desk.arm(desk.due(-1, subject=subject, generation=2), desk.due(-1, subject=subject, generation=1))
    with desk.database.transaction() as connection:
        assert desk.deadlines.pending(connection, subject) == [first]
    second = desk.due(-5, subject=subject, generation=3)
    desk.arm(desk.due(40, subject=subject, generation=1), second, desk.due(30, subject=subject, generation=3))
    async with desk.firing():
        await until("the newest", lambda: desk.fired() == [(subject, "first", 3)])
        desk.arm(second, desk.due(-1, subject=subject, generation=2))
        assert desk.states() == {"fired": 1}
        desk.arm(desk.due(-1, subject=subject, generation=4))
        await until("the next", lambda: len(desk.fired()) == 2)
        assert desk.cancel(subject) == 0
    assert desk.fired() == [(subject, "first", 3), (subject, "first", 4)]


async def test_cancelled_does_not_fire_until_a_higher_generation(desk: Desk) -> None:
    subject = uuid4()
    desk.arm(*[desk.due(0.2, key, subject) for key in ("a", "b", "c")])
    assert desk.cancel(subject, ["a", "b"]) == 2
    assert desk.cancel(subject, []) == 0
    assert desk.cancel(uuid4()) == 0
    desk.arm(desk.due(-1, "a", subject))
    async with desk.firing():
        await until("the other one", lambda: desk.fired() == [(subject, "c", 1)])
        desk.arm(desk.due(-1, "a", subject, generation=2))
        await until("armed anew", lambda: desk.fired()[-1] == (subject, "a", 2))
    assert desk.states() == {"fired": 2, "cancelled": 1}


async def test_cancelling_races_with_firing_and_one_of_them_wins(desk: Desk) -> None:
    armed = [desk.due(0.05 + number / 1000, str(number)) for number in range(400)]
    desk.arm(*armed)
    cancelled: set[UUID] = set()

    def cancel() -> None:
        for one in reversed(armed):
            if desk.cancel(one.subject) == 1:
                cancelled.add(one.subject)

    canceller = threading.Thread(target=cancel)
    async with desk.firing(), desk.firing():
        canceller.start()
        await until("all decided", lambda: desk.states().get("armed", 0) == 0)
        await asyncio.to_thread(canceller.join)
    fired = {subject for subject, _, _ in desk.fired()}
    assert fired | cancelled == {one.subject for one in armed}
    assert not fired & cancelled
    assert fired
    assert cancelled


async def test_armed_anew_by_its_own_firing_is_fired_again(desk: Desk) -> None:
    def again(transaction: Transaction, one: Deadline) -> bool:
        if one.generation < 4:
            following = Deadline(KIND, one.subject, one.key, one.generation + 1, one.due_at)
            desk.deadlines.arm(transaction.connection, [following])
        return one.generation % 2 == 0

    desk.waiting = again
    first = desk.due(0)
    desk.arm(first)
    async with desk.firing():
        await until("the last is asked", lambda: desk.rows("SELECT FROM deadlines WHERE deferrals > 1"))
    # 1 and 3 were fired, 2 was given back and replaced at once, 4 waits.
    assert [generation for _, _, generation in desk.fired()] == [1, 3]
    assert desk.states() == {"armed": 1}


async def test_deferred_ones_are_asked_again_and_starve_nobody(desk: Desk) -> None:
    stuck = {(deferred := desk.due(-10, "stuck")).subject: deferred for _ in range(500)}
    released = threading.Event()
    desk.waiting = lambda _transaction, one: one.subject in stuck and not released.is_set()
    desk.arm(*stuck.values())
    async with desk.firing():
        await until("all are deferred", lambda: not desk.rows("SELECT FROM deadlines WHERE deferrals = 0"))
        desk.arm(*[desk.due(0, "others") for _ in range(300)])
        await until("the others", lambda: len(desk.fired()) == 300, 5)
        assert max(desk.calls) <= 200
        asked = len(desk.calls)
        await asyncio.sleep(2.0)
        assert len(desk.calls) - asked < 20, "asked again too often"
        released.set()
        await until("the stuck ones", lambda: len(desk.fired()) == 800, 5)
    assert not desk.rows("SELECT FROM deadlines WHERE tries > 0")


async def test_one_that_fails_by_itself_stands_aside_and_can_be_retried(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskline_chassis.deadlines._FIRST_WAIT", timedelta(milliseconds=10))
    armed = [desk.due(-1, str(number)) for number in range(150)]
    bad = armed[70].subject
    desk.failing[bad] = ValueError("a person's words")
    failed = metrics.DEADLINES.labels(KIND, "failed")
    before = failed._value.get()
    desk.arm(*armed)
    async with desk.firing():
        await until("failed", lambda: desk.states() == {"fired": 149, "failed": 1})
        assert desk.rows("SELECT tries, cause FROM deadlines WHERE subject = %s", bad) == [
            (TRIES, "ValueError")
        ]
        assert failed._value.get() == before + 1
        assert len(desk.fired()) == 149
        (told,) = failed_deadlines(desk.database)
        assert (told.deadline.subject, told.cause) == (bad, "ValueError")
        desk.failing.clear()
        assert retry_deadlines(desk.database, desk.log, uuid4()) == 0
        assert retry_deadlines(desk.database, desk.log, bad) == 1
        await until("fired after all", lambda: desk.states() == {"fired": 150})
    assert len(desk.fired()) == 150


async def test_giving_back_what_was_not_asked_is_an_error_of_the_firing(desk: Desk) -> None:
    stranger = desk.due(0)

    def fire(_t: Transaction, _due: Sequence[Deadline], _now: datetime) -> Collection[Deadline]:
        return [stranger]

    run = fire_deadlines(desk.database, desk.log, {KIND: fire})
    desk.arm(desk.due(-1))
    async with running(run):
        await until(
            "counted", lambda: desk.rows("SELECT FROM deadlines WHERE tries > 0 AND cause LIKE 'NotAsked%%'")
        )
    assert desk.fired() == []


async def test_outages_count_for_nothing_and_what_is_late_fires_once(
    desk: Desk, stack: Stack, database: Database
) -> None:
    beat = Beat()
    broken = desk.due(-1, "no connection")
    desk.failing[broken.subject] = ConnectionError()
    desk.arm(broken, desk.due(-1, "beside it"))
    async with desk.firing(beat):
        await until("red", lambda: "ConnectionError" in (beat.reason or ""))
        assert desk.fired() == []
        desk.failing.clear()
        await until("both", lambda: len(desk.fired()) == 2)
        assert beat.why_red() is None
        desk.arm(*[desk.due(0.2, f"late {number}") for number in range(30)])
        await asyncio.to_thread(stack.postgres.kill)
        await until("red again", lambda: "deadlines" in (beat.reason or ""))
        await asyncio.to_thread(stack.postgres.start)
        await until("all", lambda: answers(desk) and len(desk.fired()) == 32, 60)
        # The pool that other tests share has lost its connections as well.
        await asyncio.to_thread(database._pool.check)
    assert not desk.rows("SELECT FROM deadlines WHERE tries > 0")


def answers(desk: Desk) -> bool:
    try:
        return bool(desk.rows("SELECT true"))
    except psycopg.OperationalError:
        return False


@pytest.fixture
def replica(lone: tuple[ServiceDatabase, Database]) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    """Starts a process that fires and kills itself within its n-th batch; 0: never."""
    started: list[subprocess.Popen[bytes]] = []

    def start(dies_at: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "shared.chassis.tests.firing_process"]
        process = subprocess.Popen([*command, lone[0].runtime_url, str(dies_at)], cwd=ROOT)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.chaos
def test_replicas_that_are_killed_fire_each_once_and_lose_none(
    desk: Desk, replica: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    armed = [desk.due(number / 400, str(number)) for number in range(2000)]
    for at in range(0, len(armed), 500):
        desk.arm(*armed[at : at + 500])
    members = [replica(2), replica(5)]
    kills = 0

    async def survive() -> None:
        nonlocal kills

        def replace_the_dead() -> bool:
            nonlocal kills
            for number, member in enumerate(members):
                if member.poll() is not None:
                    kills += 1
                    members[number] = replica(3 + kills if kills < 5 else 0)
                elif kills == 3:
                    # One that dies at no point of its own choice.
                    member.kill()
            return len(desk.rows("SELECT FROM deadlines WHERE state = 'armed'")) == 0

        await until("all fired", replace_the_dead, 60)

    asyncio.run(survive())
    assert kills >= 4
    fired = desk.fired()
    assert len(fired) == len({subject for subject, _, _ in fired}) == 2000
    assert {subject for subject, _, _ in fired} == {one.subject for one in armed}


async def test_waits_for_the_watermark_of_a_relay_that_stands_still(house: House, desk: Desk) -> None:
    marks = Watermarks(house.broker, ["intake"])

    def waiting(transaction: Transaction, one: Deadline) -> bool:
        until_then = marks.complete_until(transaction.connection, NAME, "intake", 0)
        return until_then is None or until_then < one.due_at

    desk.waiting = waiting
    async with running(marks.run), running(house.reader().run), desk.firing():
        async with house.relaying():
            await until("followed", lambda: marks.latest("intake"))
            desk.arm(desk.due(0.3, "healthy"))
            await until("fired", lambda: len(desk.fired()) == 1)
        assert desk.rows("SELECT fired_at - due_at < '2 s' FROM fired_deadlines") == [(True,)]
        desk.arm(desk.due(0.1, "stopped"))
        await until("asked in vain", lambda: desk.rows("SELECT FROM deadlines WHERE deferrals > 3"))
        assert [key for _, key, _ in desk.fired()] == ["healthy"]
        async with house.relaying():
            await until("moves again", lambda: len(desk.fired()) == 2, 10)
    assert [key for _, key, _ in desk.fired()] == ["healthy", "stopped"]
