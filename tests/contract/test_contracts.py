"""Contracts with whoever reads our topics: schemas and samples are what is checked in."""

import base64
import json
import re
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from jsonschema import Draft202012Validator
from tests.contract import contracts
from tests.contract.samples import PERSON, SAMPLES

from deskline_chassis.personal_data import PersonKey, seal, unseal
from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope
from deskline_events.personal import personal_paths
from deskline_events.topics import KEY_OWNERS, OWNERS, all_topics

pytestmark = pytest.mark.contract

TYPES = sorted(CATALOG)


def stored(name: str) -> Any:
    return json.loads((contracts.FOLDER / name).read_text())


def test_checked_in_contracts_are_current() -> None:
    on_disk = {path.name: path.read_text() for path in contracts.FOLDER.glob("*.json")}
    assert on_disk == contracts.files(), "run `make docs` and look at what changed"


def test_every_type_of_the_catalogue_has_a_sample() -> None:
    assert {fact.TYPE for fact in SAMPLES} == set(CATALOG)


@pytest.mark.parametrize("kind", TYPES)
def test_wire_type_names_owner_name_and_version(kind: str) -> None:
    assert re.fullmatch(r"deskline\.[a-z]+\.[A-Z][A-Za-z]+\.v[1-9][0-9]*", kind)
    assert CATALOG[kind].type == kind
    assert CATALOG[kind].owner in OWNERS


@pytest.mark.parametrize("kind", TYPES)
def test_sample_fits_its_schema(kind: str) -> None:
    Draft202012Validator(stored(f"{kind}.schema.json")).validate(stored(f"{kind}.sample.json")["data"])


@pytest.mark.parametrize("kind", [kind for kind in TYPES if personal_paths(CATALOG[kind].model)])
def test_schema_refuses_personal_text_in_the_clear(kind: str) -> None:
    validator = Draft202012Validator(stored(f"{kind}.schema.json"))
    assert not validator.is_valid(stored(f"{kind}.sample.json")["clear"])


@pytest.mark.parametrize("kind", TYPES)
def test_sample_opens_under_the_key_of_its_keys_topic(kind: str) -> None:
    keys = stored("keys.sample.json")
    kek = base64.b64decode(keys["key_encryption_key"])
    key = aes_key_unwrap(kek, base64.b64decode(keys["known"]["keys"]["1"]))
    ring = {UUID(keys["known"]["subject"]): PersonKey(1, key)}
    found = stored(f"{kind}.sample.json")
    envelope = Envelope.read(tuple((name, value.encode()) for name, value in found["headers"].items()))
    data = found["data"]
    unseal(CATALOG[kind].model, data, envelope.id, ring)
    assert data == found["clear"]
    assert CATALOG[kind].model.model_validate(data).model_dump(mode="json") == found["clear"]


@pytest.mark.parametrize("kind", TYPES)
def test_reader_ignores_fields_that_it_does_not_know(kind: str) -> None:
    clear = stored(f"{kind}.sample.json")["clear"]
    model = CATALOG[kind].model
    assert model.model_validate(clear | {"added_later": 1}) == model.model_validate(clear)


def test_sealing_again_gives_another_ciphertext_that_opens_to_the_same() -> None:
    kind = "deskline.tickets.OperatorReplied.v1"
    found = stored(f"{kind}.sample.json")
    identity = UUID(found["headers"]["ce_id"])
    ring = {PERSON: PersonKey(1, contracts.PERSON_KEY)}
    data = dict(found["clear"])
    seal(CATALOG[kind].model, data, identity, ring)
    assert data["text"]["c"] != found["data"]["text"]["c"]
    unseal(CATALOG[kind].model, data, identity, ring)
    assert data == found["clear"]


def test_every_owner_has_an_events_topic_kept_for_ever() -> None:
    events = {topic.owner: topic for topic in all_topics() if topic.kind == "events"}
    assert set(events) == set(OWNERS)
    assert all(topic.config["retention.ms"] == "-1" for topic in events.values())


def test_keys_topics_are_compacted_within_the_hour() -> None:
    keys = {topic.owner: topic for topic in all_topics() if topic.kind == "keys"}
    assert set(keys) == set(KEY_OWNERS)
    for topic in keys.values():
        assert topic.config["cleanup.policy"] == "compact"
        assert int(topic.config["max.compaction.lag.ms"]) <= 3_600_000
        assert int(topic.config["segment.ms"]) <= 3_600_000
