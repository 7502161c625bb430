"""Contracts for other systems: every field is told, and the AsyncAPI document is what the code announces."""

import io
import json
import re
import runpy
import shutil
import subprocess
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha512
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from tests.contract import asyncapi, catalogue, contracts

from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope
from deskline_events.personal import MARK, personal_paths
from deskline_events.topics import DEFAULT_PARTITIONS, KEY_OWNERS, OWNERS, all_topics

Json = dict[str, Any]

SPECIFICATION = "@asyncapi/specs@6.11.1"
INTEGRITY = "A3WBLqAKGoJ2+6FWFtpjBlCQ1oFCcs4GxF7zsIGvNqp/klGUHjlA3aAcZ9XMMpLGE8zPeYDz2x9FmO6DSuKraQ=="
SCHEMAS = sorted(path.name for path in contracts.FOLDER.glob("*.schema.json"))
SEALED = {"k", "v", "c"}


@pytest.fixture(scope="module")
def document() -> Json:
    return asyncapi.document()


def nodes(node: Any) -> Iterator[Json]:
    """Every object in a document."""
    if isinstance(node, dict):
        yield node
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(one)


def properties(node: Any) -> Iterator[tuple[str, Json]]:
    for one in nodes(node):
        found = one.get("properties")
        if isinstance(found, dict):
            yield from found.items()


def resolved(document: Json, reference: str) -> Json:
    assert reference.startswith("#/"), reference
    found: Any = document
    for part in reference[2:].split("/"):
        assert part in found, reference
        found = found[part]
    assert isinstance(found, dict), reference
    return found


def validator(document: Json, schema: Json) -> Draft7Validator:
    """Of a schema whose references lead into the document."""
    return Draft7Validator(schema | {"components": document["components"]})


@pytest.mark.contract
@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_on_the_wire_is_described(name: str) -> None:
    schema = json.loads((contracts.FOLDER / name).read_text())
    assert schema.get("description"), f"{name} needs a docstring"
    silent = [field for field, told in properties(schema) if not told.get("description", "").strip()]
    assert silent == [], "give these a Field(description=...)"
    assert [name for name, value in schema.get("$defs", {}).items() if not value.get("description")] == []


@pytest.mark.contract
@pytest.mark.parametrize("name", SCHEMAS)
def test_a_field_that_may_be_null_says_what_null_means(name: str) -> None:
    schema = json.loads((contracts.FOLDER / name).read_text())
    nullable = {
        field: told["description"]
        for field, told in properties(schema)
        if any(one.get("type") == "null" for one in told.get("anyOf", ()))
    }
    assert {field for field, told in nullable.items() if "null:" not in told} == set()


@pytest.mark.contract
@pytest.mark.parametrize("name", SCHEMAS)
def test_only_sealed_fields_have_the_shape_of_a_sealed_field(name: str) -> None:
    """The guide lets a subscriber know them by it, whatever type they are in."""
    schema = json.loads((contracts.FOLDER / name).read_text())
    for one in nodes(schema):
        if set(one.get("properties", ())) == SEALED:
            assert one.get(MARK), one


@pytest.mark.contract
@pytest.mark.parametrize("path", list(asyncapi.files()), ids=str)
def test_checked_in_files_are_current(path: Path) -> None:
    kept = (asyncapi.ROOT / path).read_text(encoding="utf-8")
    assert kept == asyncapi.files()[path], f"{path} is not what the code says: run `make docs`"


@pytest.mark.contract
def test_document_is_the_same_each_time() -> None:
    assert asyncapi.text() == asyncapi.text()


@pytest.mark.contract
def test_every_reference_leads_somewhere_and_everything_is_referred_to(document: Json) -> None:
    references = {
        one["$ref"] for one in nodes(document) if isinstance(one.get("$ref"), str)
    }  # `$ref` may not stand beside anything else in a schema of Draft 7
    for reference in references:
        resolved(document, reference)
    assert [one for one in nodes(document) if "$ref" in one and len(one) > 1] == []
    for kind in ("messages", "schemas", "securitySchemes"):
        parts = {f"#/components/{kind}/{name}" for name in document["components"][kind]}
        assert parts <= references, parts - references


@pytest.mark.contract
def test_every_topic_is_a_channel_with_an_operation(document: Json) -> None:
    topics = {topic.name: topic for topic in all_topics()}
    channels = {one["address"]: one for one in document["channels"].values()}
    assert set(channels) == set(topics)
    for name, topic in topics.items():
        binding = channels[name]["bindings"]["kafka"]
        assert binding["partitions"] == (topic.partitions or DEFAULT_PARTITIONS)
        said = {
            key: ",".join(value) if isinstance(value, list) else str(value)
            for key, value in binding["topicConfiguration"].items()
        }
        assert said == topic.config
    announced = [one["channel"]["$ref"] for one in document["operations"].values()]
    assert sorted(announced) == sorted(f"#/channels/{name}" for name in document["channels"])
    assert {one["action"] for one in document["operations"].values()} == {"send"}


@pytest.mark.contract
def test_every_type_of_the_catalogue_is_a_message_of_its_owners_channel(document: Json) -> None:
    for kind, contract in CATALOG.items():
        message = document["components"]["messages"][kind]
        channel = document["channels"][f"{contract.owner}.events"]
        reference = {"$ref": f"#/components/messages/{kind}"}
        assert [one for one in channel["messages"].values() if one == reference] == [reference]
        assert message["x-deskline-ignorable"] is contract.ignorable
        assert {tag["name"] for tag in message["tags"]} == {contract.owner}
        assert message[MARK] == {".".join(path): of for path, of in personal_paths(contract.model)}
    events = {kind for kind in document["components"]["messages"] if kind.startswith("deskline.")}
    assert events == set(CATALOG)
    told = {
        reference["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        for reference in operation["messages"]
    }
    assert len(told) == len(document["components"]["messages"])


@pytest.mark.contract
def test_every_example_fits_the_schemas_of_its_message_and_of_no_other(document: Json) -> None:
    messages = document["components"]["messages"]
    for name, message in messages.items():
        assert message["examples"], name
        for example in message["examples"]:
            validator(document, message["payload"]).validate(example["payload"])
            if name in CATALOG:
                fits = {
                    other
                    for other in CATALOG
                    if validator(document, messages[other]["headers"]).is_valid(example["headers"])
                }
                assert fits == {name}


@pytest.mark.contract
@pytest.mark.parametrize("kind", [kind for kind in CATALOG if personal_paths(CATALOG[kind].model)])
def test_document_refuses_personal_text_in_the_clear(document: Json, kind: str) -> None:
    clear = json.loads((contracts.FOLDER / f"{kind}.sample.json").read_text())["clear"]
    payload = document["components"]["messages"][kind]["payload"]
    assert not validator(document, payload).is_valid(clear)


@pytest.mark.contract
def test_every_header_that_is_written_is_told(document: Json) -> None:
    identity = uuid4()
    full = Envelope(
        id=identity,
        source="/deskline/tickets",
        type="deskline.tickets.TicketOpened.v1",
        time=datetime.now(UTC),
        subject=identity,
        sequence=10,
        correlation_id=identity,
        causation_id=identity,
        epoch=2,
        generation=1,
        ignorable=True,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    written = {name: value.decode() for name, value in full.headers()}
    schema = document["components"]["schemas"]["Envelope"]
    assert set(written) == set(schema["properties"])
    Draft202012Validator(schema).validate(written)
    optional = {"ce_causationid", "deskline-ignorable", "traceparent"}
    assert set(schema["required"]) == set(written) - optional
    for name in schema["required"]:
        assert not Draft202012Validator(schema).is_valid({k: v for k, v in written.items() if k != name})


@pytest.mark.contract
def test_page_of_events_tells_every_type_and_its_links_lead_somewhere() -> None:
    page = (asyncapi.ROOT / catalogue.PATH).read_text(encoding="utf-8")
    assert [kind for kind in CATALOG if f"`{kind}`" not in page] == []
    headings = {line.lstrip("# ").lower() for line in page.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#([a-z]+)\)", page)) <= headings


@pytest.mark.contract
def test_guide_prints_the_subscribers_that_are_run_and_one_has_60_lines() -> None:
    page = (asyncapi.ROOT / asyncapi.GUIDE).read_text(encoding="utf-8")
    folder = asyncapi.ROOT / asyncapi.GUIDE.with_suffix("")
    assert {path.name for path in folder.iterdir() if path.is_file()} == set(asyncapi.LISTED)
    for name, language in asyncapi.LISTED.items():
        content = (folder / name).read_text(encoding="utf-8")
        assert page.count(f"```{language}\n{content}```\n") == 1, name
    assert len((folder / "subscriber.py").read_text().splitlines()) <= 60


@pytest.mark.contract
@pytest.mark.parametrize("kind", sorted(CATALOG))
def test_guides_program_opens_every_golden_sample(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    shown = runpy.run_path(str(asyncapi.ROOT / asyncapi.GUIDE.with_suffix("") / "show.py"))
    keys = json.loads((contracts.FOLDER / "keys.sample.json").read_text())
    sample = json.loads((contracts.FOLDER / f"{kind}.sample.json").read_text())
    monkeypatch.setenv("DESKLINE_KEY_ENCRYPTION_KEY", keys["key_encryption_key"])
    known = {keys["known"]["subject"]: json.dumps(keys["known"]["keys"])}
    opened = shown["opened"]
    assert opened(sample["data"], sample["headers"]["ce_id"], "", known) == sample["clear"]
    sealed = [one for one in nodes(sample["data"]) if set(one) == SEALED]
    for ring, text in (({keys["erased"]["subject"]: ""}, '"erased"'), ({}, "null")):
        told = json.dumps(opened(sample["data"], sample["headers"]["ce_id"], "", ring))
        assert told.count(text) >= len(sealed)
        assert '"c":' not in told


@pytest.mark.contract
def test_guide_tells_every_header_and_topic_and_its_links_lead_somewhere(document: Json) -> None:
    page = (asyncapi.ROOT / asyncapi.GUIDE).read_text(encoding="utf-8")
    headers = document["components"]["schemas"]["Envelope"]["properties"]
    assert [name for name in headers if f"`{name}`" not in page] == []
    owners = {topic.owner for topic in all_topics() if topic.kind == "events"}
    assert f"deskline.{{{','.join(one for one in OWNERS if one in owners)}}}.events" in page
    assert f"deskline.{{{','.join(KEY_OWNERS)}}}.keys" in page
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page):
        assert (asyncapi.ROOT / asyncapi.GUIDE.parent / link).exists(), link


@pytest.mark.extra
def test_document_fits_the_official_schema(document: Json, tmp_path: Path) -> None:
    """AsyncAPI's own schema of 3.0.0, from its npm package; its bytes are pinned."""
    npm = shutil.which("npm")
    assert npm, "npm is missing: `make test-extra` installs it from Debian's packages"
    subprocess.run([npm, "pack", "--silent", SPECIFICATION], cwd=tmp_path, check=True, timeout=120)
    (packed,) = tmp_path.glob("*.tgz")
    content = packed.read_bytes()
    assert b64encode(sha512(content).digest()).decode() == INTEGRITY, "another package than the pinned one"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("package/schemas/3.0.0.json")
        assert member is not None
        schema = json.load(member)
    Draft7Validator(schema).validate(document)
    broken = document | {"channels": {"x": {"adress": "a channel has no such field"}}}
    assert not Draft7Validator(schema).is_valid(broken)
