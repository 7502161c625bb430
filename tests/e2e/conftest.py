"""The whole system for end-to-end tests, in a folder of its own, on free ports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deskline_local.deployment import Doors
from deskline_local.system import System


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with System(tmp_path / "system", Doors.anywhere(), trace_sample=1.0) as running:
        yield running
