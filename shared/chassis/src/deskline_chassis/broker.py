"""Kafka for every service: how to connect, and the owner's topics, created where they are missing."""

import asyncio
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from deskline_chassis.metrics import TOPICS_MISSING
from deskline_chassis.settings import KafkaSettings
from deskline_events.topics import Topic

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Broker:
    """The deployment's Kafka: where, with what rights, and what its topics look like.

    `topic_config` overrides topic settings (tests shorten compaction).
    """

    bootstrap: str
    prefix: str = ""
    partitions: int = 6
    replication: int = 1
    manage_topics: bool = True
    security: str = "PLAINTEXT"
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None

    @classmethod
    def told_by(cls, settings: KafkaSettings) -> "Broker":
        """The broker that the environment names."""
        password, ca_file = settings.kafka_password, settings.kafka_ca_file
        return cls(
            bootstrap=settings.kafka,
            prefix=settings.topic_prefix,
            partitions=settings.partitions,
            replication=settings.replication,
            manage_topics=settings.manage_topics,
            security=settings.kafka_security,
            username=settings.kafka_username,
            password=None if password is None else password.get_secret_value(),
            ca_file=None if ca_file is None else str(ca_file),
        )

    def topic(self, topic: Topic) -> str:
        """A topic's name in this deployment."""
        return f"{self.prefix}{topic.name}"

    def client_settings(self, name: str) -> dict[str, Any]:
        """Settings that every aiokafka client shares."""
        settings: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "client_id": name,
            # A topic that was created anew is noticed in 2 s and not after minutes.
            "metadata_max_age_ms": 2000,
            "request_timeout_ms": 10_000,
            "retry_backoff_ms": 100,
            "security_protocol": self.security,
        }
        if self.security in {"SSL", "SASL_SSL"}:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.ca_file is not None:
                # A private authority's certificates (Strimzi's) name no key of it, which Python 3.13 refuses.
                context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            settings["ssl_context"] = context
        if self.security.startswith("SASL"):
            settings |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return settings


class TopicsMissingError(Exception):
    """Topics are missing and this deployment's topics belong to its operator."""

    safe_message = True


async def ensure_topics(broker: Broker, topics: tuple[Topic, ...], name: str) -> None:
    """Create the topics that are missing; raises KafkaError, OSError, TopicsMissingError."""
    admin = AIOKafkaAdminClient(**broker.client_settings(name))
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if broker.topic(topic) not in existing]
        if not broker.manage_topics:
            for topic in topics:
                TOPICS_MISSING.labels(broker.topic(topic)).set(topic in missing)
        if not missing:
            return
        names = ", ".join(broker.topic(topic) for topic in missing)
        if not broker.manage_topics:
            raise TopicsMissingError(f"create the topics {names}, or set DESKLINE_MANAGE_TOPICS=true")
        answer = await admin.create_topics(
            [
                NewTopic(
                    broker.topic(topic),
                    num_partitions=topic.partitions or broker.partitions,
                    replication_factor=broker.replication,
                    topic_configs=topic.config,
                )
                for topic in missing
            ]
        )
        for _topic, code, *_ in answer.topic_errors:
            if code not in {0, TopicAlreadyExistsError.errno}:
                raise for_code(code)
        log.info("topics created", topics=names)
    finally:
        await admin.close()


async def read_by_nobody(
    broker: Broker, group: str, places: Collection[tuple[str, int]]
) -> set[tuple[str, int]]:
    """Which of these partitions no member of the group has, at rest; raises KafkaError, OSError."""
    admin = AIOKafkaAdminClient(**broker.client_settings(group))
    try:
        await admin.start()
        (answer,) = await admin.describe_consumer_groups([group])
    finally:
        await admin.close()
    _error, _group, state, _type, _protocol, members, *_ = answer.groups[0]
    if state != "Stable":
        return set()
    owned = {
        (topic, partition)
        for *_, assignment in members
        for topic, partitions in ConsumerProtocolMemberAssignment.decode(assignment).assignment
        for partition in partitions
    }
    return set(places) - owned


async def until_broker(
    broker: Broker, topics: tuple[Topic, ...], name: str, red: Callable[[str], None]
) -> None:
    """Ensure the topics, trying again with backoff for as long as the broker is away."""
    delay = 0.2
    while True:
        try:
            await ensure_topics(broker, topics, name)
        except (KafkaError, OSError, TopicsMissingError) as error:
            red(f"broker: {type(error).__name__}")
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)
        else:
            return
