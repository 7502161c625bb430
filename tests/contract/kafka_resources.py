"""Topics, and each service's rights on them, as resources for Strimzi's operators.

`python -m tests.contract.kafka_resources` writes them, a test compares them.
"""

from pathlib import Path
from typing import Any, Final, cast
from unittest.mock import MagicMock

import yaml

from deskline_analytics.consumer import REBUILDER
from deskline_analytics.main import SERVICE as ANALYTICS
from deskline_chassis.service import Service
from deskline_chassis.serving import ServingParts
from deskline_events.topics import (
    KEY_OWNERS,
    OWNERS,
    Topic,
    all_topics,
    events_topic,
    keys_topic,
    watermarks_topic,
)
from deskline_gateway.adapters.live_feed import _TOPICS as TOLD
from deskline_gateway.main import SERVICE as GATEWAY
from deskline_intake.main import SERVICE as INTAKE
from deskline_notify.main import SERVICE as NOTIFY
from deskline_routing.main import SERVICE as ROUTING
from deskline_sla.adapters.clock_desk import WATCHED
from deskline_sla.main import SERVICE as SLA
from deskline_tickets.main import SERVICE as TICKETS

KUBERNETES: Final = Path(__file__).parents[2] / "deploy" / "kubernetes"
TOPICS_FILE: Final = KUBERNETES / "topics" / "high-availability.yaml"
USERS_FILE: Final = KUBERNETES / "overlays" / "high-availability" / "servers" / "kafka-users.yaml"

CLUSTER: Final = "deskline"
PARTITIONS: Final = 24
REPLICATION: Final = 3
SCALER: Final = "keda"

SERVICES: Final[dict[str, Service]] = {
    "intake": INTAKE,
    "tickets": TICKETS,
    "routing": ROUTING,
    "sla": SLA,
    "notify": NOTIFY,
    "analytics": ANALYTICS,
    "gateway": GATEWAY,
}

Document = dict[str, Any]


def topics() -> list[Document]:
    """A KafkaTopic for each topic of the deployment."""
    return [
        _resource(
            "KafkaTopic",
            topic.name,
            {
                "partitions": topic.partitions or PARTITIONS,
                "replicas": REPLICATION,
                "config": dict(topic.config),
            },
        )
        for topic in all_topics()
    ]


def users() -> list[Document]:
    """A KafkaUser for each service, and one that may only look, for the autoscaler."""
    looking = [_acl("topic", "deskline.", ["Describe"], "prefix"), *_groups()]
    return [*(_user(name, _rights(name)) for name in SERVICES), _user(SCALER, looking)]


def groups_of(service: str) -> list[str]:
    """The consumer groups of a service: that of its reader first."""
    reader = _reader_of(service)
    if reader is None:
        return []
    return [reader.name, REBUILDER] if service == "analytics" else [reader.name]


def written_by(service: str) -> list[Topic]:
    """The topics that a service announces on."""
    if service not in OWNERS:
        return []
    keys = [keys_topic(service)] if service in KEY_OWNERS else []
    return [events_topic(service), *keys, watermarks_topic(service)]


def read_by(service: str) -> list[Topic]:
    """The topics that a service reads: as a reader, for its relay's check, for watermarks and live views."""
    # The relay looks whether the broker still has what it acknowledged.
    found = [topic for topic in written_by(service) if topic.kind != "watermarks"]
    reader = _reader_of(service)
    if reader is not None:
        found += [events_topic(owner) for owner in reader.owners]
        found += [keys_topic(owner) for owner in reader.key_owners]
    if service == "sla":
        found.append(watermarks_topic(WATCHED))
    if service == "gateway":
        found += TOLD
    return list(dict.fromkeys(found))


def _reader_of(service: str) -> Any:
    build = SERVICES[service].serving().reader
    # What a reader reads is the same whatever it works with; it is not run here.
    return None if build is None else build(cast("ServingParts", MagicMock()))


def _rights(service: str) -> list[Document]:
    written, read = written_by(service), read_by(service)
    rights = []
    for topic in dict.fromkeys([*written, *read]):
        operations = ["Describe"]
        operations += ["Write"] if topic in written else []
        operations += ["Read"] if topic in read else []
        rights.append(_acl("topic", topic.name, operations))
    if service == "intake":
        # Its doors take no more than the readers work off: it may see how far they are, and nothing else.
        seen = [topic for topic in all_topics() if topic.kind != "watermarks" and topic not in written]
        rights += [_acl("topic", topic.name, ["Describe"]) for topic in seen] + _groups()
    return rights + [_acl("group", group, ["Describe", "Read"]) for group in groups_of(service)]


def _groups() -> list[Document]:
    """How far each reader is, to be seen by who counts what is on its way."""
    return [_acl("group", group, ["Describe"]) for name in SERVICES for group in groups_of(name)[:1]]


def _acl(kind: str, name: str, operations: list[str], pattern: str = "literal") -> Document:
    resource = {"type": kind, "name": name, "patternType": pattern}
    return {"resource": resource, "operations": operations}


def _user(name: str, acls: list[Document]) -> Document:
    return _resource(
        "KafkaUser",
        name,
        {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": acls},
        },
    )


def _resource(kind: str, name: str, spec: Document) -> Document:
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"strimzi.io/cluster": CLUSTER, "app.kubernetes.io/part-of": "deskline"},
        },
        "spec": spec,
    }


class _Indented(yaml.SafeDumper):
    """Lists below their key, as in the manifests written by hand."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def rendered(documents: list[Document]) -> str:
    """The documents as a file."""
    parts = [yaml.dump(one, Dumper=_Indented, sort_keys=False, width=110) for one in documents]
    return "# Written by `python -m tests.contract.kafka_resources`.\n---\n" + "---\n".join(parts)


def files() -> dict[Path, str]:
    """Each file and what it should say."""
    return {TOPICS_FILE: rendered(topics()), USERS_FILE: rendered(users())}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
