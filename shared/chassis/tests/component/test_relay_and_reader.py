"""Relay and reader on a real broker, in this process: what they make of keys, sizes, restores and fences."""

import asyncio
import base64
import json
import threading
import time
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import TopicAuthorizationFailedError
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from shared.chassis.tests.house import NAME, PARTITIONS, House, running, until

from deskline_chassis import metrics
from deskline_chassis import reader as reader_module
from deskline_chassis import relay as relay_module
from deskline_chassis.fetching import PacedConsumer
from deskline_chassis.loops import Beat, FatalLoopError
from deskline_chassis.reader import FENCED_EXIT
from deskline_chassis.relay_state import RelayState, StoredKey, read_keys
from deskline_chassis.republish import republish
from deskline_events.catalog import CATALOG
from deskline_events.intake import ContactRegistered
from deskline_events.topics import events_topic, keys_topic

pytestmark = [pytest.mark.component, pytest.mark.anyio]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_keys_travel_wrapped_and_their_erasure_stays(house: House) -> None:
    (person,) = house.write("Анна")
    async with house.relaying(), running(house.reader().run):
        await until("applied", lambda: house.texts() == ["Анна"])
        (record,) = await house.topic(house.broker.topic(keys_topic("intake")))
        stored = house.rows("SELECT wrapped FROM person_keys")[0][0]
        value = json.loads(record.value)
        assert value["subject"] == str(person) == record.key.decode()
        assert base64.b64decode(value["keys"]["1"]) == stored
        assert len(aes_key_unwrap(bytes(range(32)), stored)) == 32
        with house.database.transaction() as connection:
            house.log.lock(connection)
            house.ring.erase(connection, person)
        await until(
            "the erasure is learned", lambda: house.rows("SELECT FROM known_keys WHERE wrapped IS NULL")
        )
        republish(house.database, restored=False)
        await until(
            "announced anew", lambda: house.rows("SELECT FROM relay WHERE epoch = 2 AND keys_position > 0")
        )
        *_, last = await house.topic(house.broker.topic(keys_topic("intake")))
        assert dict(last.headers)["deskline-epoch"] == b"2"
        erased = json.loads(last.value)
        assert erased["subject"] == str(person)
        assert erased["erased_at"]
        assert not erased.get("keys")
        assert house.rows("SELECT count(*) FROM known_keys WHERE wrapped IS NOT NULL") == [(0,)]
    assert house.texts() == ["Анна"]


async def test_leader_stopped_past_its_lease_announces_nothing_that_it_read_before(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was overtaken meanwhile would be the newest again: a key after the erasure of its person.
    read, stopped = read_keys, 0.0

    async def read_and_stop(state: RelayState, limit: int) -> list[StoredKey]:
        nonlocal stopped
        keys = await read(state, limit)
        if keys and not stopped:
            with house.database.transaction() as connection:
                house.log.lock(connection)
                house.ring.erase(connection, keys[0].subject)
            stopped = relay_module.LEASE_SECONDS
        return keys

    monkeypatch.setattr(relay_module, "read_keys", read_and_stop)
    monkeypatch.setattr(relay_module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + stopped))
    house.write("Анна")
    async with house.relaying():
        await until("announced", house.announced)
    (term,) = house.rows("SELECT term FROM relay")[0]
    assert (stopped, term) == (10, 2), "it takes over anew before it goes on"
    records = await house.topic(house.broker.topic(keys_topic("intake")))
    assert [bool(json.loads(one.value).get("keys")) for one in records] == [False]


async def test_largest_event_is_announced_and_read(house: House) -> None:
    house.write("я" * 97_000, "small")
    async with house.relaying(), running(house.reader().run):
        await until("applied", lambda: len(house.texts()) == 2)
    assert max(len(text) for text in house.texts()) == 97_000


async def test_restore_gives_new_ids_and_asks_for_a_rebuild(house: House) -> None:
    person = uuid4()
    house.write("one", "two", person=person)
    needed = metrics.READER_REBUILD_NEEDED.labels(NAME)
    needed.set(0)
    async with house.relaying(), running(house.reader().run):
        await until("applied", lambda: house.texts() == ["one", "two"])
        assert republish(house.database, restored=True) == 2
        house.write("three", person=person)
        await until("applied", lambda: house.texts() == ["one", "two", "three"])
        await until("announced anew", house.announced)
        await until("asked", lambda: needed._value.get() == 1)
    records = await house.topic(house.broker.topic(events_topic("intake")))
    headers = [dict(record.headers) for record in records]
    assert {(h["ce_sequence"], h["deskline-epoch"], h["deskline-generation"]) for h in headers} >= {
        (b"1", b"1", b"1"),
        (b"1", b"2", b"2"),
        (b"2", b"2", b"2"),
        (b"3", b"2", b"2"),
    }
    # What was written before keeps its id, under which its text was sealed.
    assert len({h["ce_id"] for h in headers}) == 3
    assert house.rows("SELECT generation FROM events ORDER BY id") == [(1,), (1,), (2,)]


async def test_fenced_twice_in_a_row_ends_the_process(house: House) -> None:
    persons = house.write("first")
    moved, done = threading.Event(), threading.Event()

    def move() -> None:
        # Another process with our partitions, always a step ahead.
        with psycopg.connect(house.made.runtime_url, autocommit=True) as other:
            while not done.wait(0.002):
                other.execute("UPDATE positions SET next_offset = next_offset + 1 WHERE epoch = 1")
                moved.set()

    async with house.relaying(), running(house.reader().run) as reading:
        await until("applied", lambda: house.texts() == ["first"])
        mover = threading.Thread(target=move)
        mover.start()
        assert await asyncio.to_thread(moved.wait, 10)
        for turn in range(200):
            house.write(f"next {turn}", person=persons[0])
            await asyncio.wait({reading}, timeout=0.1)
            if reading.done():
                break
        done.set()
        mover.join()
        assert reading.done()
        with pytest.raises(FatalLoopError) as ended:
            reading.result()
        assert ended.value.exit_code == FENCED_EXIT == 3


async def test_keys_that_have_come_are_given_with_the_first_events(house: House) -> None:
    house.write(*["word"] * 60)
    async with house.relaying():
        await until("announced", house.announced)
    events, keys = (house.broker.topic(topic("intake")) for topic in (events_topic, keys_topic))
    # aiokafka asks for topics in an order of chance.
    for _ in range(8):
        consumer = PacedConsumer(**house.broker.client_settings("test"), ahead=frozenset({keys}))
        await consumer.start()
        try:
            consumer.assign(
                [TopicPartition(one, part) for one in (events, keys) for part in range(PARTITIONS)]
            )
            await consumer.seek_to_beginning()
            found = await consumer.getmany(max_records=5)
        finally:
            await consumer.stop()
        assert sum(len(records) for place, records in found.items() if place.topic == keys) == 60


async def test_events_that_were_found_are_given_also_where_the_keys_fail(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, keys = (
        TopicPartition(house.broker.topic(topic("intake")), 0) for topic in (events_topic, keys_topic)
    )

    async def getmany(_consumer: Any, *places: TopicPartition, **_settings: Any) -> Any:
        if places:
            raise TopicAuthorizationFailedError(keys.topic)
        return {events: ["an event"]}

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    consumer = PacedConsumer(**house.broker.client_settings("test"), ahead=frozenset({keys.topic}))
    consumer.assign([events, keys])
    try:
        assert await consumer.getmany(max_records=5) == {events: ["an event"]}
    finally:
        await consumer.stop()


async def test_a_reader_that_joins_slowly_is_no_dead_reader(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a machine under load the connection takes longer than the first look at the lag does.
    quick, asked = AIOKafkaClient.bootstrap, asyncio.Event()

    async def slow(client: AIOKafkaClient) -> None:
        asked.set()
        await asyncio.sleep(0.5)
        await quick(client)

    house.write("one")
    async with house.relaying():
        async with running(house.reader().run):
            await until("applied", lambda: house.texts() == ["one"])
        house.write("two")
        await until("announced", house.announced)
        monkeypatch.setattr(reader_module, "SWEEP_SECONDS", 0.001)
        monkeypatch.setattr(reader_module, "OVERVIEW_SECONDS", 0.0)
        monkeypatch.setattr(AIOKafkaClient, "bootstrap", slow)
        async with running(house.reader().run):
            await until("applied", lambda: sorted(house.texts()) == ["one", "two"])
    assert asked.is_set()


async def test_partitions_that_the_group_gave_to_nobody_are_noticed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Seen after a loss of the broker's data: the group was formed before all topics were there again.
    assign = RoundRobinPartitionAssignor.assign
    forgotten: list[bool] = []

    def forgetful(cluster: Any, members: Any) -> Any:
        given = assign(cluster, members)
        if forgotten:
            return given
        forgotten.append(True)
        return {
            member: ConsumerProtocolMemberAssignment(
                one.version,
                [(topic, parts) for topic, parts in one.assignment if "keys" in topic],
                one.user_data,
            )
            for member, one in given.items()
        }

    monkeypatch.setattr(RoundRobinPartitionAssignor, "assign", forgetful)
    monkeypatch.setattr(reader_module, "OVERVIEW_SECONDS", 0.5)
    house.write("one", "two")
    async with house.relaying(), running(house.reader().run):
        await until("applied", lambda: sorted(house.texts()) == ["one", "two"], 45.0)
    assert forgotten


async def test_position_beyond_the_end_begins_anew(house: House) -> None:
    house.write("one", "two", "three")
    async with house.relaying():
        await until("announced", house.announced)
    with house.database.transaction() as connection:
        connection.execute(
            "INSERT INTO positions (reader, topic, partition, epoch, next_offset)"
            " SELECT %s, %s, n, 1, 1000 FROM generate_series(0, %s) n",
            (NAME, house.broker.topic(events_topic("intake")), PARTITIONS - 1),
        )
    async with running(house.reader().run):
        await until("applied", lambda: sorted(house.texts()) == ["one", "three", "two"])


async def test_position_that_moves_while_the_end_is_asked_for_is_no_loss(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, at = house.reader(), TopicPartition(house.broker.topic(events_topic("intake")), 0)
    insert = "INSERT INTO positions (reader, topic, partition, epoch, next_offset) VALUES (%s, %s, 0, 1, 5)"
    house.database.run(lambda connection: connection.execute(insert, (NAME, at.topic)))

    class Busy:
        """A consumer whose partition grows and is applied right after its end was told."""

        def assignment(self) -> set[TopicPartition]:
            return {at}

        def seek(self, _partition: TopicPartition, offset: int) -> None:
            """To the last one that was applied, which tells its epoch."""
            assert offset == 4

        async def end_offsets(self, _partitions: Any) -> dict[TopicPartition, int]:
            house.database.run(lambda connection: connection.execute("UPDATE positions SET next_offset = 9"))
            return {at: 5}

        def partitions_for_topic(self, topic: str) -> set[int]:
            return {0} if topic == at.topic else set()

    monkeypatch.setattr(reader, "_subscriber", SimpleNamespace(consumer=Busy()), raising=False)
    await reader._overview(Beat())
    assert house.rows("SELECT next_offset FROM positions") == [(9,)]


async def test_reader_that_starts_redrives_what_it_understands_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("one")
    async with house.relaying():
        with monkeypatch.context() as older:
            older.delitem(CATALOG, ContactRegistered.TYPE)
            async with running(house.reader().run):
                await until("parked", lambda: house.rows("SELECT FROM parked_records"))
        assert house.texts() == []
        async with running(house.reader().run):
            await until("applied", lambda: house.texts() == ["one"])
    assert house.rows("SELECT FROM parked_records") == []


async def test_poison_on_the_wire_is_parked_in_time_and_others_flow(house: House) -> None:
    (person,) = house.write("before")
    topic = house.broker.topic(events_topic("intake"))
    producer = AIOKafkaProducer(bootstrap_servers=house.broker.bootstrap)
    await producer.start()
    try:
        async with house.relaying(), running(house.reader().run):
            await until("applied", lambda: house.texts() == ["before"])
            began = time.monotonic()
            for headers in ([("ce_type", b"\xff\xfe"), ("content-type", b"\xff")], []):
                for partition in range(PARTITIONS):
                    await producer.send_and_wait(topic, b"\xff", b"\xff", partition, headers=headers)
            house.write("after", person=person)
            await until("all are parked", lambda: len(house.rows("SELECT FROM parked_records")) == 4)
            await until("applied", lambda: house.texts() == ["before", "after"])
            assert time.monotonic() - began < 10
    finally:
        await producer.stop()


async def test_many_newly_parked_streams_raise_the_alarm(house: House) -> None:
    alarm, parked = metrics.READER_PARKING_ALARM.labels(NAME), metrics.READER_PARKED.labels(NAME)
    house.write(*[f"n{n}" for n in range(21)])
    async with house.relaying():
        await until("announced", house.announced)
    records = await house.topic(house.broker.topic(events_topic("intake")))
    producer = AIOKafkaProducer(bootstrap_servers=house.broker.bootstrap)
    await producer.start()

    async def spoil(record: Any) -> None:
        headers = [(name, b"2" if name == "ce_sequence" else value) for name, value in record.headers]
        await producer.send_and_wait(record.topic, b"{", record.key, record.partition, headers=headers)

    try:
        async with running(house.reader().run):
            for record in records[:20]:
                await spoil(record)
            await until("the 20 are seen", lambda: parked._value.get() == 20)
            assert alarm._value.get() == 0
            await spoil(records[20])
            await until("alarmed", lambda: alarm._value.get() == 1)
    finally:
        await producer.stop()
