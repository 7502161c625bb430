"""A stack of its own, which the tests may break, and the two services on it, started once."""

from collections.abc import Iterator

import pytest
from tests.chaos.backbone.system import Deployment, Kept

from deskline_local.stack import Stack, open_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(tmp_path_factory.mktemp("breakable"), "processes") as running:
        yield running
        running.kafka.kill()  # nothing of it is wanted any more
        running.postgres.kill()


@pytest.fixture(scope="session")
def kept(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    keeper = Kept(stack, lambda: tmp_path_factory.mktemp("deployment"))
    yield keeper
    keeper.end()


@pytest.fixture
def whole(kept: Kept) -> Deployment:
    """Two writers over one database and two followers over another, all up and ready."""
    return kept.started()
