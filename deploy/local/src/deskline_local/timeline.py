"""The live timeline: every event as it appears on Kafka, one line each, with what caused it."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.text import Text

COLOURS: Final = {
    "intake": "cyan",
    "tickets": "green",
    "routing": "yellow",
    "sla": "magenta",
    "notify": "blue",
}
TOPICS: Final = tuple(f"deskline.{owner}.events" for owner in COLOURS)


class Timeline:
    """Reads the events topics from their beginning in a thread of its own and prints as they come."""

    def __init__(self, bootstrap: str, console: Console) -> None:
        self._bootstrap = bootstrap
        self._console = console
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timeline", daemon=True)
        self._named: dict[str, str] = {}
        self.seen: list[str] = []

    def start(self) -> None:
        """Begin to print."""
        self._thread.start()

    def stop(self) -> None:
        """End it; prints what came until then."""
        self._ended.set()
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, metadata_max_age_ms=1000)
        await consumer.start()
        try:
            while not self._ended.is_set():
                await self._take(consumer)
        finally:
            await consumer.stop()

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001 -- an assignment needs the partitions
        found = {TopicPartition(t, p) for t in TOPICS for p in metadata.partitions_for_topic(t) or ()}
        if found and found != consumer.assignment():
            consumer.assign(sorted(found))
            await consumer.seek_to_beginning()
        try:
            batch = await consumer.getmany(timeout_ms=100)
        except KafkaError:
            return
        records = [record for records in batch.values() for record in records]
        for record in sorted(records, key=lambda one: dict(one.headers)["ce_time"]):
            self._print({name: value.decode() for name, value in record.headers})
        if not found:
            await asyncio.sleep(0.1)

    def _print(self, headers: dict[str, str]) -> None:
        owner, name = headers["ce_source"].rpartition("/")[2], headers["ce_type"].split(".")[2]
        subject, sequence = headers["ce_subject"], headers["ce_sequence"]
        told = f"{name} {subject[-8:]}/{sequence}"
        self._named[headers["ce_id"]] = told
        self.seen.append(name)
        first = "a mail at the door" if owner == "intake" else "a command"
        cause = self._named.get(headers.get("ce_causationid", ""), first)
        moment = datetime.fromisoformat(headers["ce_time"]).astimezone(UTC)
        line = Text.assemble(
            (f"{moment:%H:%M:%S.%f}"[:-3], "dim"),
            "  ",
            (f"{owner:8}", COLOURS.get(owner, "white")),
            (f"{name:22}", "bold"),
            f"{subject[-8:]}/{sequence:<3}",
            ("  ← ", "dim"),
            (cause, "dim"),
        )
        self._console.print(line, soft_wrap=True)
