"""Watermarks on a real broker: announced only of what is there, and held against what a reader applied."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from shared.chassis.tests.house import NAME, PARTITIONS, House, running, until

from deskline_chassis import metrics
from deskline_chassis.marking import take_mark
from deskline_chassis.postgres import connect_direct
from deskline_chassis.republish import republish
from deskline_chassis.watermarks import STALLED_SECONDS, Watermarks, is_parked
from deskline_events.envelope import event_id, source_of
from deskline_events.topics import events_topic, watermarks_topic
from deskline_events.watermarks import Watermark
from deskline_local.stack import Stack

pytestmark = [pytest.mark.component, pytest.mark.anyio]


def complete(house: House, marks: Watermarks) -> list[datetime | None]:
    """Of each partition."""
    with house.database.transaction() as connection:
        return [
            marks.complete_until(connection, NAME, "intake", partition) for partition in range(PARTITIONS)
        ]


def clock(house: House) -> datetime:
    now: datetime = house.rows("SELECT clock_timestamp()")[0][0]
    return now


def is_complete(house: House, marks: Watermarks, moment: datetime) -> bool:
    return all(at is not None and at >= moment for at in complete(house, marks))


@asynccontextmanager
async def following(house: House) -> AsyncIterator[Watermarks]:
    marks = Watermarks(house.broker, ["intake"])
    async with running(marks.run):
        yield marks


async def announced(house: House) -> list[Watermark]:
    records = await house.topic(house.broker.topic(watermarks_topic("intake")), partitions=1)
    return [Watermark.model_validate_json(record.value) for record in records]


async def test_an_idle_system_knows_that_it_is_complete(house: House) -> None:
    async with following(house) as marks, house.relaying(), running(house.reader().run):
        await until(
            "without any event", lambda: is_complete(house, marks, clock(house) - timedelta(seconds=1))
        )
        persons = house.write("one", "two", "three")
        written = clock(house)
        await until("complete", lambda: is_complete(house, marks, written))
        assert sorted(house.texts()) == ["one", "three", "two"]
        house.write(*["more"] * 3, person=persons[0])
        async with asyncio.timeout(2.0):
            await until("soon complete", lambda: is_complete(house, marks, written))


async def test_nothing_is_complete_before_it_was_applied(house: House) -> None:
    async with following(house) as marks, house.relaying():
        house.write("one", "two", "three", "four", "five", "six", "seven", "eight")
        written = clock(house)
        await until("announced", lambda: (last := marks.latest("intake")) and last.time > written)
        last = marks.latest("intake")
        assert last is not None
        assert all(last.offsets[partition] > 0 for partition in range(PARTITIONS))
        assert complete(house, marks) == [None] * PARTITIONS
        async with running(house.reader().run):
            await until("complete", lambda: is_complete(house, marks, written))
        assert len(house.texts()) == 8


async def test_mark_waits_for_a_writer_and_later_events_come_strictly_after_it(house: House) -> None:
    async with await connect_direct(house.made.runtime_url, "marker") as connection:
        with house.database.transaction() as writing:
            house.log.lock(writing)
            taking = asyncio.create_task(take_mark(connection))
            await until(
                "the mark waits",
                lambda: house.rows("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
            )
            house.write_in(writing, "under the lock")
        mark = await taking
        assert house.rows("SELECT id, time <= %s FROM events", mark.time) == [(mark.last_id, True)]
        # Where the clock stands still or goes back, time of the log goes on.
        house.rows("UPDATE log_head SET last_time = last_time + interval '1 hour' RETURNING last_time")
        ahead = await take_mark(connection)
        house.write("later")
        again = await take_mark(connection)
        later = house.rows("SELECT time FROM events ORDER BY id DESC LIMIT 1")[0][0]
        assert mark.time < ahead.time < later <= again.time
        assert ahead.last_id < again.last_id


@contextmanager
def writers(house: House, count: int) -> Iterator[None]:
    stop = threading.Event()

    def write() -> None:
        person = uuid4()
        while not stop.is_set():
            house.write("a", "b", person=person)
            house.write("c")

    threads = [threading.Thread(target=write) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


async def test_every_watermark_is_true_beside_writers_and_silent_while_republishing(house: House) -> None:
    async with following(house) as marks:
        with writers(house, 4):
            async with house.relaying():
                await until("some", lambda: len(house.rows("SELECT FROM events WHERE id > 300")))
                enough = clock(house)
                await until("one of them", lambda: (last := marks.latest("intake")) and last.time > enough)
                republish(house.database, restored=False)
                await until("the new epoch", lambda: (last := marks.latest("intake")) and last.epoch == 2)
                seen = clock(house) + timedelta(seconds=1)
                await until("some later ones", lambda: (last := marks.latest("intake")) and last.time > seen)
    found = await announced(house)
    assert {watermark.epoch for watermark in found} == {1, 2}
    assert len(found) > 6
    await assert_true(house, found)


async def assert_true(house: House, found: list[Watermark]) -> None:
    """Each event until a watermark is on the topic in its epoch, before its offset."""
    first: dict[tuple[int, UUID], tuple[int, int]] = {}
    for record in await house.topic(house.broker.topic(events_topic("intake"))):
        headers = dict(record.headers)
        announcement = int(headers["deskline-epoch"]), UUID(headers["ce_id"].decode())
        first.setdefault(announcement, (record.partition, record.offset))
    events = house.rows("SELECT stream, sequence, generation, time FROM events ORDER BY id")
    checked: dict[int, int] = defaultdict(int)
    for watermark in found:
        for stream, sequence, generation, time in events:
            if time > watermark.time:
                continue
            identity = event_id(source_of("intake"), stream, sequence, generation)
            partition, offset = first[watermark.epoch, identity]
            assert offset < watermark.offsets[partition]
            checked[watermark.epoch] += 1
    assert all(checked[watermark.epoch] > 100 for watermark in found), "the run proves nothing"


async def test_without_a_relay_it_stands_still_and_is_missed(house: House) -> None:
    now = [0.0]
    marks = Watermarks(house.broker, ["intake"], clock=lambda: now[0])
    stalled = metrics.WATERMARK_STALLED.labels("intake")
    async with running(marks.run), running(house.reader().run):
        async with house.relaying():
            await until("followed", lambda: marks.latest("intake"))
            await until("not stalled", lambda: stalled._value.get() == 0)
        house.write("in time")
        written = clock(house)
        last = marks.latest("intake")
        now[0] += STALLED_SECONDS + 1
        await until("alarmed", lambda: stalled._value.get() == 1)
        assert marks.latest("intake") == last
        assert marks.age_seconds("intake") > 0
        assert not is_complete(house, marks, written)
        async with house.relaying():
            await until("complete", lambda: is_complete(house, marks, written))
            await until("no alarm", lambda: stalled._value.get() == 0)
    assert house.texts() == ["in time"]


async def test_another_process_begins_with_the_last_one_and_survives_a_new_topic(house: House) -> None:
    async with house.relaying(), running(house.reader().run):
        house.write("one")
        await until("announced", house.announced)
        async with following(house) as first:
            await until("known", lambda: first.latest("intake"))
            async with following(house) as second:
                await until("known", lambda: second.latest("intake"))
                await house.delete_topic(house.broker.topic(watermarks_topic("intake")))
                deleted = clock(house)
                await until(
                    "both move again",
                    lambda: all(
                        (last := marks.latest("intake")) and last.time > deleted for marks in (first, second)
                    ),
                    60,
                )


async def test_wiped_broker_is_complete_again_without_a_new_event(house: House, stack: Stack) -> None:
    async with following(house) as marks, house.relaying(), running(house.reader().run):
        house.write("one", "two", "three", "four", "five")
        written = clock(house)
        await until("complete", lambda: is_complete(house, marks, written))
        await asyncio.to_thread(stack.kafka.kill)
        await asyncio.to_thread(stack.kafka.wipe)
        await asyncio.to_thread(stack.kafka.start)
        await until("a higher epoch", lambda: (last := marks.latest("intake")) and last.epoch == 2, 60)
        announced_anew = clock(house)
        # As many records as before: only their epoch tells the reader that they are others.
        await until("complete", lambda: is_complete(house, marks, announced_anew), 60)
    assert len(house.texts()) == 5


async def test_stream_with_something_held_back_is_not_taken_for_complete(house: House) -> None:
    stream = uuid4()
    with house.database.transaction() as connection:
        assert not is_parked(connection, NAME, "intake", stream)
        for parked, waiting in ((True, False), (False, True)):
            connection.execute(
                "INSERT INTO reader_streams (reader, owner, subject, parked, waiting)"
                " VALUES (%s, 'intake', %s, %s, %s) ON CONFLICT (reader, owner, subject)"
                " DO UPDATE SET parked = excluded.parked, waiting = excluded.waiting",
                (NAME, stream, parked, waiting),
            )
            assert is_parked(connection, NAME, "intake", stream)
