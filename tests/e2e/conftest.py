"""The whole system for end-to-end tests: one of its own on free ports, or one that the environment names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskline_local.deployment import Doors
from deskline_local.site import ExternalSite, Site
from deskline_local.system import System


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with System(tmp_path / "system", Doors.anywhere(), trace_sample=1.0) as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What tests `anywhere` act on: with DESKLINE_STACK=external the named deployment, shared by all."""
    if os.environ.get("DESKLINE_STACK", "").strip() == "external":
        yield ExternalSite.from_environment()
        return
    with System(tmp_path_factory.mktemp("site") / "system", Doors.anywhere()) as running:
        yield running
