"""Topics, declared once: names, retention and cleanup; everything else is generated from here or checked."""

from dataclasses import dataclass, field
from typing import Final, Literal

OWNERS: Final = ("intake", "tickets", "routing", "sla", "notify")
KEY_OWNERS: Final = ("intake", "routing")
READER_GROUPS: Final = tuple(
    f"deskline.{reader}" for reader in ("tickets", "routing", "sla", "notify", "analytics")
)
"""The groups of the deployment's own readers, without its prefix."""
DEFAULT_PARTITIONS: Final = 6


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic without its deployment's prefix; the number of partitions is the deployment's, unless given."""

    owner: str
    kind: Literal["events", "keys", "watermarks"]
    config: dict[str, str] = field(default_factory=dict, hash=False)
    partitions: int | None = None

    @property
    def name(self) -> str:
        """Name without prefix: `deskline.<owner>.<kind>`."""
        return f"deskline.{self.owner}.{self.kind}"


def events_topic(owner: str) -> Topic:
    """The owner's facts, kept for ever."""
    return Topic(owner, "events", {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"})


def keys_topic(owner: str) -> Topic:
    """The owner's wrapped keys, one record a person; compacted soon, so that an erased key is gone."""
    hour = str(60 * 60 * 1000)
    return Topic(
        owner,
        "keys",
        {
            "cleanup.policy": "compact",
            "segment.ms": hour,
            "max.compaction.lag.ms": hour,
            "retention.ms": "-1",
        },
    )


def watermarks_topic(owner: str) -> Topic:
    """How far the owner's events topic is complete; the last record counts."""
    hour = str(60 * 60 * 1000)
    return Topic(owner, "watermarks", {"cleanup.policy": "delete", "retention.ms": hour}, partitions=1)


def all_topics() -> tuple[Topic, ...]:
    """Every topic of a deployment."""
    return (
        *(events_topic(owner) for owner in OWNERS),
        *(keys_topic(owner) for owner in KEY_OWNERS),
        *(watermarks_topic(owner) for owner in OWNERS),
    )
