"""Contracts with the broker: topics are as they are declared, and a deployment keeps to its prefix."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deskline_chassis.broker import Broker, ensure_topics
from deskline_events.topics import all_topics
from deskline_local.stack import Stack

pytestmark = pytest.mark.contract

PARTITIONS = 5


async def _described(broker: Broker) -> tuple[set[str], dict[str, dict[str, str]], dict[str, int]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        names = [broker.topic(topic) for topic in all_topics()]
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, n) for n in names])
        configs = {
            resource[3]: {entry[0]: entry[1] for entry in resource[4]}
            for answer in answers
            for resource in answer.resources
        }
        partitions = {
            topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)
        }
        return set(await admin.list_topics()), configs, partitions
    finally:
        await admin.close()


def test_topics_on_the_broker_are_as_declared(stack: Stack) -> None:
    broker = Broker(stack.bootstrap, prefix="declared.", partitions=PARTITIONS)
    for _ in range(2):  # what is there is left alone
        asyncio.run(ensure_topics(broker, all_topics(), "test"))
    existing, configs, partitions = asyncio.run(_described(broker))
    for topic in all_topics():
        name = broker.topic(topic)
        assert name in existing
        assert partitions[name] == (topic.partitions or PARTITIONS)
        for key, value in topic.config.items():
            assert configs[name][key] == value, f"{name}: {key}"


def test_two_deployments_share_a_broker_and_no_topic(stack: Stack) -> None:
    one, other = (Broker(stack.bootstrap, prefix=prefix) for prefix in ("one.", "other."))
    names = [{broker.topic(topic) for topic in all_topics()} for broker in (one, other)]
    assert not names[0] & names[1]
    assert all(name.startswith("one.deskline.") for name in names[0])
