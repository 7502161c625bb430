"""Where topics are an operator's, a missing one is told and waited for, never made."""

import asyncio
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from shared.chassis.tests.house import House, until

from deskline_chassis.broker import TopicsMissingError, ensure_topics, until_broker
from deskline_chassis.metrics import REGISTRY
from deskline_events.topics import events_topic, watermarks_topic

pytestmark = [pytest.mark.component, pytest.mark.anyio]

TOPICS = (events_topic("sla"), watermarks_topic("sla"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_missing_topic_is_told_until_its_operator_made_it(house: House) -> None:
    foreign = replace(house.broker, manage_topics=False)
    names = [foreign.topic(topic) for topic in TOPICS]

    def missing() -> list[float | None]:
        return [REGISTRY.get_sample_value("deskline_topics_missing", {"topic": name}) for name in names]

    with pytest.raises(TopicsMissingError, match=names[0]):
        await ensure_topics(foreign, TOPICS, "tests")
    assert missing() == [1, 1]
    reasons: list[str] = []
    waiting = asyncio.create_task(until_broker(foreign, TOPICS, "tests", reasons.append))
    await until("told", lambda: reasons)
    assert reasons[0] == "broker: TopicsMissingError"
    admin = AIOKafkaAdminClient(bootstrap_servers=foreign.bootstrap)
    await admin.start()
    try:
        assert not set(names) & set(await admin.list_topics())
        # Its operator is this deployment's own code here, with the right to make topics.
        await ensure_topics(house.broker, TOPICS[:1], "tests")
        with pytest.raises(TopicsMissingError, match=names[1]):
            await ensure_topics(foreign, TOPICS, "tests")
        assert missing() == [0, 1]
        await ensure_topics(house.broker, TOPICS, "tests")
        await asyncio.wait_for(waiting, 15)
        assert missing() == [0, 0]
    finally:
        await admin.delete_topics(names)
        await admin.close()
