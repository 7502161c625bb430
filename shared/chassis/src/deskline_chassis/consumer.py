"""aiokafka's consumer, which ends its connections also while the broker is away."""

import asyncio

from aiokafka import AIOKafkaConsumer  # noqa: TID251


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """Every consumer of a service is one of these."""

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
