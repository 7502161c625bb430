"""The AsyncAPI document and the readable catalogue, written from the catalogue of events: `make docs`.

Whoever subscribes generates code from the one and reads the other; a test holds both to the code.
"""

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from tests.contract import catalogue, contracts, headers
from tests.contract.samples import MOMENT, SAMPLES

from deskline_events.catalog import CATALOG, Contract
from deskline_events.envelope import source_of
from deskline_events.keys import PersonKeys
from deskline_events.personal import MARK, Sealed, personal_paths
from deskline_events.topics import DEFAULT_PARTITIONS, OWNERS, Topic, all_topics
from deskline_events.watermarks import Watermark

Json = dict[str, Any]

ROOT: Final = Path(__file__).parents[2]
PATH: Final = Path("docs/asyncapi/deskline.json")
GUIDE: Final = Path("docs/guides/subscribe.md")
LISTED: Final = {"subscriber.py": "python", "show.py": "python", "console.sh": "sh"}
PREFIX: Final = "#/components/schemas/"
BINDING: Final = "0.5.0"
MODELS: Final[tuple[type[BaseModel], ...]] = (
    *(contract.model for contract in CATALOG.values()),
    PersonKeys,
    Watermark,
    Sealed,
)

WATERMARK: Final = Watermark(
    time=MOMENT, epoch=1, generation=1, offsets=dict.fromkeys(range(DEFAULT_PARTITIONS), 12)
).model_dump(mode="json")

DESCRIPTION: Final = """\
Every fact of a Deskline deployment, as its services announce it on Kafka: CloudEvents 1.0 in Kafka's binary
mode, the envelope in the headers, JSON in the value. Deskline sends, a subscriber receives.

Delivery is at least once, and in order within a stream: (`ce_source`, `ce_subject`). Types and fields that a
subscriber does not know are passed over. Fields with `x-deskline-personal` are sealed under a person's key.
What to do with all of it: `docs/guides/subscribe.md`.
"""
OWNER: Final = {
    "intake": "messages, contacts, companies and the erasure of people",
    "tickets": "the tickets themselves",
    "routing": "queues, offers, operators and teams",
    "sla": "clocks of service levels, their policies and calendars",
    "notify": "what customers and staff were sent",
}
KIND: Final = {
    "events": "Facts, each a record under its stream's id; kept for ever.",
    "keys": "The wrapped key of each person, or that they were erased; compacted to one record a person."
    " Only who may read personal fields may read it.",
    "watermarks": "How far the owner's events topic is complete; the last record counts.",
}


def document() -> Json:
    """The description of all topics; the same code gives the same document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Deskline events",
            "version": version("deskline-events"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": owner, "description": OWNER[owner]} for owner in OWNERS],
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {_channel_name(topic): _channel(topic) for topic in all_topics()},
        "operations": {_operation_name(topic): _operation(topic) for topic in all_topics()},
        "components": {
            "messages": _messages(),
            "schemas": _schemas() | headers.schemas(),
            "securitySchemes": {
                "scram": {
                    "type": "scramSha512",
                    "description": "SASL/SCRAM-SHA-512 over TLS; the operator of the broker gives the user.",
                }
            },
        },
    }


def text() -> str:
    """The document as it is kept in the repository."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _servers() -> Json:
    variables = {"bootstrap": {"description": "the deployment's brokers, DESKLINE_KAFKA"}}
    return {
        "secured": {
            "host": "{bootstrap}",
            "protocol": "kafka-secure",
            "description": "A broker with TLS and ACLs.",
            "variables": variables,
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
        "open": {
            "host": "{bootstrap}",
            "protocol": "kafka",
            "description": "A broker for trying things out; it asks nobody who they are.",
            "variables": variables,
        },
    }


def _channel_name(topic: Topic) -> str:
    return f"{topic.owner}.{topic.kind}"


def _operation_name(topic: Topic) -> str:
    return f"announce.{topic.owner}.{topic.kind}"


def _channel(topic: Topic) -> Json:
    """A topic; keys of a keys topic are persons, of an events topic streams, a watermark has none."""
    configuration: Json = {
        key: [value] if key == "cleanup.policy" else int(value) for key, value in topic.config.items()
    }
    return {
        "address": topic.name,
        "title": f"{topic.kind} of {topic.owner}",
        "summary": KIND[topic.kind],
        "description": f"A deployment with DESKLINE_TOPIC_PREFIX puts it before the name {topic.name}.",
        "messages": {
            name.rpartition("/")[2]: {"$ref": f"#/components/messages/{name}"}
            for name in _message_names(topic)
        },
        "tags": [{"name": topic.owner}],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions or DEFAULT_PARTITIONS,
                "topicConfiguration": configuration,
                "bindingVersion": BINDING,
            }
        },
        "x-deskline-partitions": "fixed" if topic.partitions else "a value of the deployment",
    }


def _message_names(topic: Topic) -> list[str]:
    if topic.kind == "events":
        return [kind for kind, contract in CATALOG.items() if contract.owner == topic.owner]
    return ["PersonKeys" if topic.kind == "keys" else "Watermark"]


def _operation(topic: Topic) -> Json:
    channel = f"#/channels/{_channel_name(topic)}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "title": f"{topic.owner} announces {topic.kind}",
        "tags": [{"name": topic.owner}],
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _message_names(topic)],
    }


def _messages() -> Json:
    samples = {fact.TYPE: contracts.sample(fact) for fact in SAMPLES}
    keys = contracts.keys_sample()
    return {
        **{kind: _event_message(contract, samples[kind]) for kind, contract in CATALOG.items()},
        "PersonKeys": _plain_message(
            PersonKeys,
            {"type": "string", "format": "uuid", "description": "the person"},
            headers.EPOCHS,
            [
                {"name": "known", "summary": "a person's key", "payload": keys["known"]},
                {"name": "erased", "summary": "the person was erased", "payload": keys["erased"]},
            ],
        ),
        "Watermark": _plain_message(Watermark, None, None, [{"name": "mark", "payload": WATERMARK}]),
    }


def _event_message(contract: Contract, sample: Json) -> Json:
    kind, model = contract.type, contract.model
    summary, _, rest = (model.__doc__ or "").strip().partition("\n\n")
    return {
        "name": kind,
        "title": contract.name,
        "summary": " ".join(summary.split()),
        **({"description": rest.strip()} if rest else {}),
        "contentType": "application/json",
        "headers": headers.of_type(kind, source_of(contract.owner)),
        "correlationId": {
            "location": "$message.header#/ce_correlationid",
            "description": "the same for all that followed from one message or command",
        },
        "payload": {"$ref": f"{PREFIX}{model.__name__}"},
        "tags": [{"name": contract.owner}],
        "bindings": {"kafka": {"key": headers.STREAM_ID, "bindingVersion": BINDING}},
        "examples": [{"name": "golden", "headers": sample["headers"], "payload": sample["data"]}],
        "x-deskline-ignorable": contract.ignorable,
        MARK: {".".join(path): of for path, of in personal_paths(model)},
    }


def _plain_message(
    model: type[BaseModel], key: Json | None, its_headers: str | None, examples: list[Json]
) -> Json:
    return {
        "name": model.__name__,
        "title": model.__name__,
        "summary": (model.__doc__ or "").strip().partition("\n")[0],
        "contentType": "application/json",
        **({"headers": {"$ref": f"{PREFIX}{its_headers}"}} if its_headers else {}),
        "payload": {"$ref": f"{PREFIX}{model.__name__}"},
        "bindings": {"kafka": ({"key": key} if key else {}) | {"bindingVersion": BINDING}},
        "examples": examples,
    }


def _schemas() -> Json:
    _, found = models_json_schema(
        [(model, "serialization") for model in MODELS], ref_template=PREFIX + "{model}"
    )
    schemas: Json = {name: _tidied(schema) for name, schema in sorted(found["$defs"].items())}
    return schemas


def _tidied(node: Any) -> Any:
    """What pydantic writes, as AsyncAPI reads it: nothing beside a `$ref`, one schema for sealed fields."""
    if isinstance(node, list):
        return [_tidied(one) for one in node]
    if not isinstance(node, dict):
        return node
    if MARK in node:
        return {"allOf": [{"$ref": f"{PREFIX}Sealed"}], "description": node["description"], MARK: node[MARK]}
    if "$ref" in node and len(node) > 1:
        rest = {name: value for name, value in node.items() if name != "$ref"}
        return {"allOf": [{"$ref": node["$ref"]}], **rest}
    return {name: _tidied(value) for name, value in node.items()}


def guide() -> str:
    """The guide with its subscribers as they are run: each file in the block after its mark."""
    page = (ROOT / GUIDE).read_text(encoding="utf-8")
    for name, language in LISTED.items():
        content = (ROOT / GUIDE.with_suffix("") / name).read_text(encoding="utf-8")
        mark = f"<!-- {name} -->\n"
        before, found, after = page.partition(mark)
        if not found:
            raise ValueError(f"{GUIDE} has no mark {mark.strip()}")
        rest = re.sub(r"\A\n```[a-z]+\n.*?\n```\n", "", after, flags=re.DOTALL)
        page = f"{before}{mark}\n```{language}\n{content}```\n{rest}"
    return page


def files() -> dict[Path, str]:
    """What is generated here: path in the repository → text."""
    return {PATH: text(), catalogue.PATH: catalogue.text(document()), GUIDE: guide()}


if __name__ == "__main__":
    for path, content in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(content, encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")
