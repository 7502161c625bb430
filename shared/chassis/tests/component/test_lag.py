"""How far groups are behind, as the broker knows it by what they committed."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from shared.chassis.tests.house import NAME, House, running, until

from deskline_chassis.broker import Broker
from deskline_chassis.lag import Lag, Lags, LagsUnknownError
from deskline_events.topics import events_topic

pytestmark = [pytest.mark.component, pytest.mark.anyio]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def known(lags: Lags) -> bool:
    """Whether the broker answers: a new one makes its topic of groups when it is first asked."""
    try:
        await lags.ask()
    except LagsUnknownError:
        return False
    return True


async def test_lag_of_a_group_is_told_by_what_it_committed(house: House) -> None:
    lags = Lags(house.broker, [NAME, "deskline.nobody"], "lag-tests")
    group = f"{house.broker.prefix}{NAME}"
    try:
        async with asyncio.timeout(30):
            while not await known(lags):  # noqa: ASYNC110 -- what is waited for is in the broker
                await asyncio.sleep(0.05)
        assert await lags.ask() == {}
        async with house.relaying():
            house.write(*(f"word {number}" for number in range(9)))
            async with running(house.reader().run):
                await until("applied", lambda: len(house.texts()) == 9)
            # A reader that ends in order commits what it held back.
            told = (await lags.ask())[group]
            assert told.left == 0
            assert told.passed >= 9
            # Nobody reads any more, and five more come.
            house.write(*(f"more {number}" for number in range(5)))
            await until("announced", house.announced)
            found = (await lags.ask())[group]
            assert found.passed == told.passed
            assert found.left >= 5
    finally:
        await lags.close()


async def test_positions_that_lie_above_the_end_are_no_lag(house: House) -> None:
    place = TopicPartition(house.broker.topic(events_topic("intake")), 0)
    lags = Lags(house.broker, [NAME], "lag-tests")
    async with house.relaying():
        house.write("one")
        await until("announced", house.announced)
    async with AIOKafkaConsumer(
        bootstrap_servers=house.broker.bootstrap, group_id=f"{house.broker.prefix}{NAME}"
    ) as consumer:
        consumer.assign([place])
        await consumer.commit({place: 1000})
    try:
        assert await lags.ask() == {f"{house.broker.prefix}{NAME}": Lag(1000, 0)}
    finally:
        await lags.close()


async def test_a_broker_that_is_away_is_told() -> None:
    lags = Lags(Broker("127.0.0.1:1"), [NAME], "lag-tests")
    with pytest.raises(LagsUnknownError):
        await lags.ask()
