"""Fetching: a consumer that waits on the broker for data, and does not ask again for every single record.

A fetch names every partition, so each costs the broker and the client as much as dozens of records do. The
broker could let a fetch wait until enough has come, but then a record that comes alone waits as long: here
a fetch is answered at once, and the next one is sent no sooner than the pace allows.

What has come of the persons' keys is given with the first batch: aiokafka gives one partition after the
other, and an event that is applied before its key is set aside, woken and applied again.
"""

import asyncio
import contextlib
import math
from functools import partial
from typing import Any, Final, cast

from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest
from faststream.kafka import KafkaBroker

from deskline_chassis.consumer import Consumer
from deskline_chassis.pacing import LEAST_SECONDS, pace_after

WAIT_MS: Final = 500
"""How long a fetch waits on the broker where nothing comes."""

MOST_KEYS: Final = 2_000
"""So many come with a batch at most."""


class PacedConsumer(Consumer):
    """Gives records as soon as they are there, after a pause as many as came meanwhile."""

    def __init__(self, *topics: str, ahead: frozenset[str] = frozenset(), **settings: Any) -> None:
        waiting = {"fetch_min_bytes": 1, "fetch_max_wait_ms": WAIT_MS}
        super().__init__(*topics, **settings | waiting)
        self._ahead = ahead
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
        """See aiokafka; waits for the first record at least as long as a fetch does, and brings the keys."""
        found = await super().getmany(*places, timeout_ms=max(timeout_ms, WAIT_MS), max_records=max_records)
        ahead = [] if places else [place for place in self.assignment() if place.topic in self._ahead]
        if found and ahead:
            # What was found is passed already and would not come again: an error of the keys may, and is
            # raised by the next call, as aiokafka does it for one partition after another.
            with contextlib.suppress(KafkaError):
                keys = await super().getmany(*ahead, timeout_ms=0, max_records=MOST_KEYS)
                for place, records in keys.items():
                    found.setdefault(place, []).extend(records)
        return found


class PacedBroker(KafkaBroker):
    """faststream's broker; its subscribers consume by this consumer, whose topics `ahead` run ahead."""

    def __init__(self, *arguments: Any, ahead: frozenset[str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._ahead = ahead

    async def _connect(self) -> Any:
        built = cast("partial[Consumer]", await super()._connect())
        self.config.broker_config.builder = partial(PacedConsumer, ahead=self._ahead, **built.keywords)
        return self.config.broker_config.builder
