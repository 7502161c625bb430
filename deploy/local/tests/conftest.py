"""A running stack for the tests that only look at it, and one of a test's own for those that break it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskline_local.stack import Kind, Stack, open_stack

# Containers need an engine: `make test-extra` sets the variable.
KINDS: list[Kind] = ["processes"]
if os.environ.get("DESKLINE_TEST_CONTAINERS") == "1":
    KINDS.append("containers")


@pytest.fixture(scope="session", params=KINDS)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Shared: leave it running."""
    with open_stack(tmp_path_factory.mktemp("shared"), request.param) as running:
        yield running


@pytest.fixture(scope="module", params=KINDS)
def breakable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(tmp_path_factory.mktemp("broken"), request.param) as running:
        yield running


@pytest.fixture
def own(breakable: Stack) -> Stack:
    """All of it up again for each test."""
    breakable.start()
    return breakable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "stack"
