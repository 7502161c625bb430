"""Every stored event has one public form, byte for byte the released one."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from deskline_events.catalog import CATALOG
from deskline_events.personal import visit_personal
from deskline_tickets.domain.events import STORED
from deskline_tickets.publisher import publish_bytes

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).parents[1] / "golden"
FILES = sorted(FOLDER.glob("*.json"))


def read(file: Path) -> dict[str, Any]:
    pair: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return pair


def test_there_is_a_pair_for_every_stored_type() -> None:
    assert {read(file)["stored_type"] for file in FILES} == set(STORED)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_stored_event_of_any_release_can_be_read(file: Path) -> None:
    pair = read(file)
    model = STORED[pair["stored_type"]]
    visit_personal(model, pair["stored"], lambda _subject, _path, _sealed: "")
    assert pair["stored_type"] == model.model_validate(pair["stored"]).TYPE


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_stored_event_becomes_the_same_bytes_for_ever(file: Path) -> None:
    pair = read(file)
    public_type, public = publish_bytes(pair["stored_type"], to_json(pair["stored"]))
    assert (public_type, public) == (pair["public_type"], to_json(pair["public"]))
    assert public_type in CATALOG


def test_the_files_are_what_the_generator_writes() -> None:
    pairs = runpy.run_path(str(FOLDER / "pairs.py"))["golden_pairs"]()
    assert {name: to_json(pair) for name, pair in pairs.items()} == {
        file.name.removesuffix(".json"): to_json(read(file)) for file in FILES
    }
