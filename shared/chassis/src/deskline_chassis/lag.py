"""Lag: how far the deployment's readers are behind, by the offsets that their groups committed.

These are hints to the readers themselves; whoever asks how much is on its way can rest on them.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deskline_chassis.broker import Broker
from deskline_chassis.consumer import Consumer

ASK_SECONDS: Final = 5.0


class LagsUnknownError(Exception):
    """The broker did not answer."""

    safe_message = True


@dataclass(frozen=True, slots=True)
class Lag:
    """Records that a group passed, and those that are still before it."""

    passed: int
    left: int


class Lags:
    """Asks the broker about some groups, over connections that are kept; not by two callers at a time."""

    def __init__(self, broker: Broker, groups: Collection[str], name: str) -> None:
        self._broker = broker
        self._groups = [f"{broker.prefix}{group}" for group in groups]
        self._name = name
        self._clients: tuple[AIOKafkaAdminClient, Consumer] | None = None

    async def ask(self) -> dict[str, Lag]:
        """Group → its lag, without those that never committed; raises LagsUnknownError."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._ask()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise LagsUnknownError(type(error).__name__) from error

    async def _ask(self) -> dict[str, Lag]:
        admin, consumer = await self._connected()
        committed: dict[str, Mapping[TopicPartition, int]] = {}
        for group in self._groups:
            found = await admin.list_consumer_group_offsets(group)
            committed[group] = {place: one.offset for place, one in found.items() if one.offset >= 0}
        places = {place for offsets in committed.values() for place in offsets}
        ends = await consumer.end_offsets(sorted(places)) if places else {}
        return {
            group: Lag(sum(offsets.values()), sum(max(0, ends[place] - at) for place, at in offsets.items()))
            for group, offsets in committed.items()
            if offsets
        }

    async def _connected(self) -> tuple[AIOKafkaAdminClient, Consumer]:
        if self._clients is None:
            settings = self._broker.client_settings(self._name)
            self._clients = AIOKafkaAdminClient(**settings), Consumer(**settings)
            for client in self._clients:
                await client.start()
        return self._clients

    async def close(self) -> None:
        """End the connections, to a broker that may be away."""
        clients, self._clients = self._clients, None
        if clients is not None:
            for close in (clients[0].close, clients[1].stop):
                with contextlib.suppress(KafkaError, OSError, TimeoutError):
                    await asyncio.wait_for(close(), 1.0)
