"""Plants apply to the product as it is, fail where they would not, and the product knows of none."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from tests.chaos.launched import CRASH_AT, PLANT
from tests.chaos.plants import PLANTS
from tests.chaos.plants.editing import Edit, PlantWitheredError, plain
from tests.chaos.plants.on_backbone import SCENES as ON_BACKBONE
from tests.chaos.plants.on_system import SCENES as ON_SYSTEM

from deskline_chassis.identity import generate_keys
from deskline_chassis.settings import ServiceSettings
from deskline_local.deployment import SERVICES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
EDITS = {f"{name}: {edit}": edit for name, plant in PLANTS.items() for edit in plant.edits}
HERE = "tests.chaos.plants.test_planting"
PRIVATE, KEY = generate_keys()
TOLD = {
    "DESKLINE_KAFKA": "127.0.0.1:9092",
    "DESKLINE_KEY_ENCRYPTION_KEY": KEY,
    "DESKLINE_IDENTITY_PUBLIC_KEY": KEY,
    "DESKLINE_INTAKE_OBJECT_STORE": "file:///objects",
    "DESKLINE_INTAKE_OWN_DOMAINS": "desk.example",
    "DESKLINE_TICKETS_REPLY_TOKEN_KEY": KEY,
    "DESKLINE_TICKETS_OWN_DOMAINS": "desk.example",
    "DESKLINE_NOTIFY_OWN_DOMAIN": "desk.example",
    "DESKLINE_GATEWAY_IDENTITY_PRIVATE_KEY": PRIVATE,
    **{f"DESKLINE_{one.upper()}_DATABASE_URL": "postgresql://x@127.0.0.1/x" for one in SERVICES},
    **{f"DESKLINE_GATEWAY_{one.upper()}_URL": "http://127.0.0.1:1" for one in SERVICES},
}


def right(first: int, *, second: int = 2) -> int:
    total = first
    total += second
    return total


def twice(first: int) -> int:
    total = first
    total += 1
    total += 1
    return total


SUBTRACTS = """
    - total += second
    + total -= second
    """


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_plant_applies_to_the_product_as_it_is(edit: Edit) -> None:
    _, owner, name = edit._found()
    before = vars(owner)[name]
    right, wrong = plain(before), plain(edit.made())
    assert right is not None
    assert wrong is not None
    assert inspect.signature(wrong) == inspect.signature(right)
    assert wrong.__code__.co_code + repr(wrong.__code__.co_consts).encode() != (
        right.__code__.co_code + repr(right.__code__.co_consts).encode()
    )
    assert vars(owner)[name] is before, "made is not put"


def test_there_are_twelve_and_each_has_what_provokes_it() -> None:
    assert len(PLANTS) == 12
    assert {*ON_BACKBONE, *ON_SYSTEM} == set(PLANTS)
    assert not ON_BACKBONE.keys() & ON_SYSTEM.keys()


def test_edited_function_does_the_wrong_thing_and_the_right_one_stays() -> None:
    assert Edit(HERE, "right", SUBTRACTS).made()(3, second=1) == 2
    assert right(3, second=1) == 4


@pytest.mark.parametrize(
    ("module", "name", "patch"),
    [
        ("deskline_chassis.nowhere", "right", SUBTRACTS),
        (HERE, "wrong", SUBTRACTS),
        (HERE, "Edit.wrong", SUBTRACTS),
        (HERE, "EDITS", SUBTRACTS),
        (HERE, "right", "- total -= second"),
        (HERE, "right", "- total += second\n  total"),
        (HERE, "twice", "- total += 1"),
    ],
    ids=[
        "no module",
        "no function",
        "no method",
        "no function but data",
        "other line",
        "other lines",
        "twice",
    ],
)
def test_plant_that_does_not_apply_fails(module: str, name: str, patch: str) -> None:
    with pytest.raises(PlantWitheredError):
        Edit(module, name, patch).made()


def test_word_of_ours_never_hides_one_of_the_product() -> None:
    with pytest.raises(PlantWitheredError):
        Edit(HERE, "right", SUBTRACTS, {"twice": 1}).made()


BY_NAME = """
from deskline_chassis import applying, sorting
from tests.chaos.plants import plant
plant("no_position_check")
print(applying.sort_streams is sorting.sort_streams, sorting._place.__code__.co_filename)
"""


def test_plant_reaches_modules_that_took_the_function_by_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BY_NAME], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split(maxsplit=1) == ["True", "<planted in deskline_chassis.sorting._place>\n"]


def settings_of(service: str) -> type[ServiceSettings]:
    room = importlib.import_module(f"deskline_{service}.settings")
    (found,) = [
        one
        for one in vars(room).values()
        if inspect.isclass(one) and issubclass(one, ServiceSettings) and one is not ServiceSettings
    ]
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_no_setting_of_a_service_is_a_switch_for_faults(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    settings = settings_of(service)
    before = settings()
    for variable in (CRASH_AT, PLANT):
        for name in (variable, f"DESKLINE_{variable}", f"DESKLINE_{service.upper()}_{variable}"):
            monkeypatch.setenv(name, "relay_by_id")
    assert settings() == before


def test_product_knows_nothing_of_plants() -> None:
    product = [*(ROOT / "services").rglob("*.py"), *ROOT.glob("shared/*/src/**/*.py")]
    assert len(product) > 100
    words = ("CHAOS_", "tests.chaos", "tests import chaos")
    told = [file for file in product if any(word in file.read_text(encoding="utf-8") for word in words)]
    assert told == []
