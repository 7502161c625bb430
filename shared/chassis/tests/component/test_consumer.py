"""A consumer whose broker is away."""

import asyncio

import pytest
from aiokafka import TopicPartition
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
