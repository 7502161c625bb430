"""Topics, declared once: names, retention and cleanup; everything else is generated from here or checked."""

from dataclasses import dataclass, field
from typing import Final, Literal

OWNERS: Final = ("intake", "tickets")
KEY_OWNERS: Final = ("intake",)
DEFAULT_PARTITIONS: Final = 6


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic without its deployment's prefix; the number of partitions is the deployment's."""

    owner: str
    kind: Literal["events", "keys"]
    config: dict[str, str] = field(default_factory=dict, hash=False)

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


def all_topics() -> tuple[Topic, ...]:
    """Every topic of a deployment."""
    return tuple(events_topic(o) for o in OWNERS) + tuple(keys_topic(o) for o in KEY_OWNERS)
