"""A real stack for the session, and an intake of its own for each test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskline_local.stack import Stack
from deskline_local.testing import session_stack, stop_session_stack

# Tests are no installed package: their kit is found from the repository's root, as mypy finds it.
sys.path.insert(0, str(Path(__file__).parents[3]))

from services.intake.tests.kit import Intake, new_intake


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    yield session_stack()
    stop_session_stack()


@pytest.fixture
def intake(stack: Stack, tmp_path: Path) -> Iterator[Intake]:
    with new_intake(stack, tmp_path) as made:
        yield made
