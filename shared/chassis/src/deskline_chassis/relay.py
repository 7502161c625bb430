"""The relay: one leader per database announces the event log and the persons' keys on Kafka, in order.

It repeats after a crash, under the same `ce_id`, and never reorders a stream. Where the broker lost
something that it had acknowledged, the epoch rises and everything is announced anew.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
import structlog
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection

from deskline_chassis import metrics
from deskline_chassis.announcing import Announcer, LossError
from deskline_chassis.bell import Bell
from deskline_chassis.broker import Broker, until_broker
from deskline_chassis.loops import Beat
from deskline_chassis.marking import Marker
from deskline_chassis.pacing import pace_after
from deskline_chassis.postgres import connect_direct
from deskline_chassis.relay_state import LeaseLostError, RelayState, read_events, read_keys
from deskline_events.topics import events_topic, keys_topic, watermarks_topic

log = structlog.get_logger(__name__)

# Session advisory lock: whoever holds it on a live connection is the leader.
LEADER_LOCK: Final = 0x52454C
BATCH: Final = 500
POLL_SECONDS: Final = 0.1
VERIFY_SECONDS: Final = 5.0
PING_SECONDS: Final = 1.0
LEASE_SECONDS: Final = 10
LEASE: Final = f"{LEASE_SECONDS}s"

Publish = Callable[[str, bytes], tuple[str, bytes]]
"""(stored type, stored data) → (wire type, data on the wire); pure, the same for ever."""


def as_stored(stored_type: str, data: bytes) -> tuple[str, bytes]:
    """The public form of owners whose stored events are public already."""
    return stored_type, data


class Relay:
    """Announces one owner's log; several may run, one leads."""

    def __init__(
        self,
        owner: str,
        database_url: str,
        broker: Broker,
        bell: Bell,
        *,
        publish: Publish = as_stored,
        owns_keys: bool = False,
    ) -> None:
        self.owner = owner
        self._url = database_url
        self._broker = broker
        self._bell = bell
        self._publish = publish
        self._events = events_topic(owner)
        keys = (keys_topic(owner),) if owns_keys else ()
        self._topics = (self._events, *keys, watermarks_topic(owner))
        self._owns_keys = owns_keys
        self._marker = Marker(database_url, f"{owner}-marker", bell.heard.set)

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Lead when nobody else does; both servers may come and go."""
        while not stop.is_set():
            try:
                async with await connect_direct(
                    self._url,
                    f"{self.owner}-relay",
                    idle_session_timeout=LEASE,
                    tcp_user_timeout=LEASE,
                    synchronous_commit="off",
                ) as connection:
                    if await self._until_leader(connection, beat, stop):
                        await self._lead_pinging(connection, beat, stop)
            except (psycopg.OperationalError, LeaseLostError) as error:
                beat.red(f"database: {type(error).__name__}")
                log.warning("relay lost its lease or the database", cause=type(error).__name__)
                await asyncio.sleep(0.5)
            finally:
                self._bell.relay_is_here = False
                metrics.RELAY_LEADER.set(0)

    async def _until_leader(self, connection: AsyncConnection[Any], beat: Beat, stop: asyncio.Event) -> bool:
        while not stop.is_set():
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (LEADER_LOCK,))
            if await cursor.fetchone() == (True,):
                return True
            beat.progress()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
        return False

    async def _lead_pinging(self, connection: AsyncConnection[Any], beat: Beat, stop: asyncio.Event) -> None:
        state = await RelayState.take_over(connection)
        self._bell.relay_is_here = True
        metrics.RELAY_LEADER.set(1)
        log.info("relay leads", term=state.term, epoch=state.epoch, position=state.position)
        tasks = {
            asyncio.create_task(self._lead(state, beat, stop)),
            asyncio.create_task(self._ping(connection)),
            asyncio.create_task(self._bell.listen()),
            asyncio.create_task(self._marker.run()),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _ping(connection: AsyncConnection[Any]) -> None:
        # A leader that was stopped does not ping, its session ends, and with it the lock.
        while True:
            await connection.execute("SELECT 1")
            await asyncio.sleep(PING_SECONDS)

    async def _lead(self, state: RelayState, beat: Beat, stop: asyncio.Event) -> None:
        """Announce for as long as the lease lasts; every error of the broker begins anew with a check."""
        while not stop.is_set():
            await until_broker(self._broker, self._topics, f"{self.owner}-relay", beat.red)
            announcer = Announcer(self.owner, self._broker, self._publish, self._topics)
            try:
                await announcer.start()
                await self._announce(announcer, state, beat, stop)
            except LossError as loss:
                log.error("the broker lost records that it had acknowledged", topic=loss.topic)
                await state.raise_epoch()
                log.warning("epoch raised, everything is announced anew", epoch=state.epoch)
            except (KafkaError, OSError, TimeoutError) as error:
                beat.red(f"broker: {type(error).__name__}")
                log.warning("relay lost the broker", cause=type(error).__name__)
                await asyncio.sleep(0.3)
            finally:
                await announcer.stop()

    async def _announce(
        self, announcer: Announcer, state: RelayState, beat: Beat, stop: asyncio.Event
    ) -> None:
        verified = float("-inf")
        while not stop.is_set():
            metrics.RELAY_EPOCH.set(state.epoch)
            if time.monotonic() - verified >= VERIFY_SECONDS:
                await announcer.verify(state.acknowledged)
                await state.refresh()
                metrics.OUTBOX_DEPTH.set(await state.depth())
                verified = time.monotonic()
            asked_at = time.monotonic()
            # Keys first: an event's reader then rarely has to wait for one.
            keys = await read_keys(state, BATCH) if self._owns_keys else []
            events = await read_events(state, BATCH)
            beat.progress()
            await self._announce_mark(announcer, state)
            if not keys and not events:
                await self._bell.wait(POLL_SECONDS)
                continue
            _require_lease(asked_at)
            acknowledged = await announcer.send(events, keys, state)
            await state.advance(
                events[-1].id if events else state.position,
                keys[-1].change_id if keys else state.keys_position,
                acknowledged,
            )
            if len(events) < BATCH:
                # Under load several commits are announced together; what comes after a pause goes at once.
                took = time.monotonic() - asked_at
                await asyncio.sleep(pace_after(took) - took)

    async def _announce_mark(self, announcer: Announcer, state: RelayState) -> None:
        mark = self._marker.reached(state.position)
        # After a restore the leader has to take over anew before it speaks for the new generation.
        if mark is not None and mark.generation == state.generation:
            await announcer.announce(mark, state)


def _require_lease(asked_at: float) -> None:
    """Raise LeaseLostError where what was read then may be another leader's by now.

    Whoever was stopped in between would announce a person's key after that person's erasure, which came by
    the other leader: the newest record of a compacted topic is what stays.
    """
    if time.monotonic() - asked_at >= LEASE_SECONDS:
        raise LeaseLostError("stopped for longer than the lease")
