"""Poison on a topic, and whether replicas share the work."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from tests.judging.records import Published
from tests.judging.site import Site

POISON = b"\xff not an event"
READERS = ("tickets", "routing", "sla", "notify", "analytics")


def poison(bootstrap: str, topic: str) -> None:
    """Put a record on a topic that nobody can read."""

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait(topic, POISON, key=b"nobody")
        finally:
            await producer.stop()

    asyncio.run(send())


def without_poison(records: list[Published]) -> list[Published]:
    """The owner's own records."""
    return [one for one in records if one.value != POISON]


def check_work_is_shared(site: Site, replicas: int) -> None:
    """Every reader's partitions belong to all of its replicas."""
    for reader in READERS:
        members = asyncio.run(_members(site.bootstrap, f"deskline.{reader}"))
        assert len(members) == replicas, f"{reader}: {members}"
        assert all(count > 0 for count in members.values()), f"{reader}: {members}"


async def _members(bootstrap: str, group: str) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answers: list[Any] = await admin.describe_consumer_groups([group])
        (described,) = answers[0].groups
        return {member[0]: _partitions(member[-1]) for member in described[5]}
    finally:
        await admin.close()


def _partitions(assignment: bytes) -> int:
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    return sum(len(partitions) for _, partitions in decoded.assignment)
