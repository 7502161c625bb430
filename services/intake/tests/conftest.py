"""A real stack for the session, and an intake of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from services.intake.tests.kit import Intake, new_intake

from deskline_local.stack import Stack


@pytest.fixture
def intake(stack: Stack, tmp_path: Path) -> Iterator[Intake]:
    with new_intake(stack, tmp_path) as made:
        yield made
