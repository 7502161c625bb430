"""A storm of rebalances: strangers join a reader's group and leave it again, over and over."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

STRANGERS: Final = 2
STAY_SECONDS: Final = 1.0
JOIN_SECONDS: Final = 20.0
SESSION_MS: Final = 6_000
TOLD: Final = "because it is rebalancing"
"""What aiokafka's coordinator writes when a heartbeat is answered so."""


@dataclass
class Storm:
    """What it caused: joins of strangers that were given something, and generations that passed meanwhile."""

    joined: int = 0
    rebalances: int = 0


def rebalances_seen(log: Path) -> int:
    """How often the service that writes this log was told that its group, with it, forms anew."""
    return log.read_text(errors="replace").count(TOLD) if log.exists() else 0


def storm(bootstrap: str, group: str, topics: Sequence[str], seconds: float) -> Storm:
    """Let strangers come and go for so long; nobody reads what they are given, and they commit nothing."""
    return asyncio.run(_storm(bootstrap, group, topics, seconds))


async def _storm(bootstrap: str, group: str, topics: Sequence[str], seconds: float) -> Storm:
    end, caused, generations = time.monotonic() + seconds, Storm(), list[int]()

    async def come_and_go(number: int) -> None:
        # Not in step, so that the group is seldom at rest.
        await asyncio.sleep(number * STAY_SECONDS / STRANGERS)
        while time.monotonic() < end:
            # A broker that is away is a fault of somebody else's.
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                generations.append(await _visit(bootstrap, group, topics))
                caused.joined += 1

    await asyncio.gather(*(come_and_go(number) for number in range(STRANGERS)))
    if generations:
        caused.rebalances = max(generations) - min(generations) + 1
    return caused


class _Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notices that it was given partitions."""

    def __init__(self) -> None:
        self.given = asyncio.Event()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing to do: it read nothing."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if assigned:
            self.given.set()


async def _visit(bootstrap: str, group: str, topics: Sequence[str]) -> int:
    """One life of a stranger; the group's generation in which it was a member."""
    member = _Member()
    stranger = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        client_id="stranger",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=500,
    )
    stranger.subscribe(list(topics), listener=member)
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            await stranger.start()
            await member.given.wait()
        generation = int(stranger._coordinator.generation)
        await asyncio.sleep(STAY_SECONDS)
        return generation
    finally:
        await stranger.stop()
