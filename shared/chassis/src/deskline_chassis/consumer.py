"""aiokafka's consumer, which ends its connections also while the broker is away."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: TID251
from aiokafka.errors import IllegalStateError
from aiokafka.structs import OffsetAndMetadata


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """Every consumer of a service is one of these."""

    async def hint(self, offsets: dict[TopicPartition, int]) -> None:
        """Commit offsets, by one request; raises KafkaError, IllegalStateError, and may be cancelled.

        aiokafka's `commit` tries for as long as the group's coordinator is away, and shields each request:
        where it is cancelled, nobody takes note of what the request ends with, and asyncio reports that.
        """
        subscription = self._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or not offsets.keys() <= assignment.tps:
            raise IllegalStateError("a partition is not assigned any more")
        told = {place: OffsetAndMetadata(offset, "") for place, offset in offsets.items()}
        await self._coordinator._do_commit_offsets(assignment, told)  # noqa: SLF001

    async def stop(self) -> None:
        """Stop, whatever the broker does; raises KafkaError, OSError.

        aiokafka 0.14 cancels its fetches and awaits them. One that rests after a failure is ended by that
        with CancelledError, which its caller would take for its own, and leaves a task behind that asks
        for metadata for as long as the process lives.
        """
        # In a task of its own, so that its cancellation and ours are told apart.
        stopping = asyncio.ensure_future(super().stop())
        try:
            await asyncio.wait({stopping})
            if not stopping.cancelled():
                stopping.result()
        finally:
            stopping.cancel()
            await asyncio.wait({stopping}, timeout=1.0)
            await self._client.close()
