"""A consumer whose broker is away, or answers too late."""

import asyncio
import gc
import secrets
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import IllegalStateError, KafkaConnectionError
from shared.chassis.tests.house import PARTITIONS, House

from deskline_chassis.broker import ensure_topics
from deskline_chassis.consumer import Consumer
from deskline_events.topics import events_topic
from deskline_local.stack import Stack

pytestmark = [pytest.mark.component, pytest.mark.anyio]


async def test_consumer_that_stops_while_the_broker_is_away_leaves_nothing_behind(
    house: House, stack: Stack
) -> None:
    topic = events_topic("intake")
    await ensure_topics(house.broker, (topic,), "test")
    before = asyncio.all_tasks()
    consumers = [Consumer(**house.broker.client_settings("test"), fetch_max_wait_ms=100) for _ in range(5)]
    for consumer in consumers:
        await consumer.start()
        consumer.assign([TopicPartition(house.broker.topic(topic), number) for number in range(PARTITIONS)])
        await consumer.getmany(timeout_ms=200)
    await asyncio.to_thread(stack.kafka.kill)
    try:
        for consumer in consumers:
            await asyncio.wait_for(consumer.stop(), 10)
        assert asyncio.all_tasks() == before
    finally:
        await asyncio.to_thread(stack.kafka.start)


async def test_stop_of_a_consumer_ends_when_it_is_cancelled_itself(house: House) -> None:
    consumer = Consumer(**house.broker.client_settings("test"))
    await consumer.start()
    before = asyncio.all_tasks()
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not asyncio.all_tasks() - before


async def test_hint_that_is_cancelled_leaves_no_error_that_nobody_hears_of(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = events_topic("intake")
    await ensure_topics(house.broker, (topic,), "test")
    consumer = Consumer(
        house.broker.topic(topic),
        **house.broker.client_settings("test"),
        group_id=f"{topic}.{secrets.token_hex(4)}",
    )
    sent, answered = asyncio.Event(), asyncio.Event()
    unheard: list[dict[str, Any]] = []

    async def late(_: GroupCoordinator, __: Any) -> None:
        sent.set()
        await answered.wait()
        raise KafkaConnectionError

    await consumer.start()
    try:
        await consumer.getmany(timeout_ms=5_000)
        (place, *_) = consumer.assignment()
        await consumer.hint({place: 0})
        with pytest.raises(IllegalStateError):
            await consumer.hint({TopicPartition("another", 0): 0})
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        with monkeypatch.context() as patched:
            patched.setattr(GroupCoordinator, "_send_req", late)
            hint = asyncio.create_task(consumer.hint({place: 1}))
            await sent.wait()
            hint.cancel()
            await asyncio.wait({hint})
            answered.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        gc.collect()
        assert hint.cancelled()
        assert not unheard
        assert await consumer.committed(place) == 0
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
        await consumer.stop()
