"""Fetching: a consumer that waits on the broker for data, and does not ask again for every single record.

A fetch names every partition, so each costs the broker and the client as much as dozens of records do. The
broker could let a fetch wait until enough has come, but then a record that comes alone waits as long: here
a fetch is answered at once, and the next one is sent no sooner than the pace allows.
"""

import asyncio
import math
from functools import partial
from typing import Any, Final, cast

from aiokafka.protocol.fetch import FetchRequest
from faststream.kafka import KafkaBroker

from deskline_chassis.consumer import Consumer
from deskline_chassis.pacing import LEAST_SECONDS, pace_after

WAIT_MS: Final = 500
"""How long a fetch waits on the broker where nothing comes."""


class PacedConsumer(Consumer):
    """Gives records as soon as they are there, after a pause as many as came meanwhile."""

    def __init__(self, *topics: str, **settings: Any) -> None:
        waiting = {"fetch_min_bytes": 1, "fetch_max_wait_ms": WAIT_MS}
        super().__init__(*topics, **settings | waiting)
        self._asked: dict[int, float] = {}
        self._pace = LEAST_SECONDS
        self._send = self._client.send
        self._client.send = self._send_paced

    def applied(self, seconds: float, *, full: bool) -> None:
        """Told how long the last batch took; after a full one more is there already."""
        self._pace = LEAST_SECONDS if full else pace_after(seconds)

    async def _send_paced(self, node: int, request: Any, **more: Any) -> Any:
        if isinstance(request, FetchRequest):
            now = asyncio.get_running_loop().time()
            pause = self._asked.get(node, -math.inf) + self._pace - now
            self._asked[node] = now + max(pause, 0.0)
            if pause > 0:
                await asyncio.sleep(pause)
        return await self._send(node, request, **more)

    async def getmany(self, *places: Any, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        """See aiokafka; waits for the first record at least as long as a fetch does."""
        return await super().getmany(*places, timeout_ms=max(timeout_ms, WAIT_MS), max_records=max_records)


class PacedBroker(KafkaBroker):
    """faststream's broker; its subscribers consume by this consumer."""

    async def _connect(self) -> Any:
        built = cast("partial[Consumer]", await super()._connect())
        self.config.broker_config.builder = partial(PacedConsumer, **built.keywords)
        return self.config.broker_config.builder
