"""How much the topics hold."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition


def ends(bootstrap: str, topics: list[str]) -> dict[tuple[str, int], int]:
    """Where each partition ends."""

    async def ask() -> dict[tuple[str, int], int]:
        async with AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap) as consumer:
            places = [
                TopicPartition(topic, number)
                for topic in topics
                for number in consumer.partitions_for_topic(topic) or ()
            ]
            found = await consumer.end_offsets(places)
        return {(place.topic, place.partition): end for place, end in found.items()}

    return asyncio.run(ask())
