"""A stack of its own, which the tests may break, and the two services on it, started once."""

from collections.abc import Iterator

import pytest
from tests.chaos.backbone.system import Deployment

from deskline_local.stack import Stack, open_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(tmp_path_factory.mktemp("breakable"), "processes") as running:
        yield running
        running.kafka.kill()  # nothing of it is wanted any more
        running.postgres.kill()


class _Kept:
    """A deployment that serves test after test, until one of them leaves it unsound."""

    def __init__(self, stack: Stack, folders: pytest.TempPathFactory) -> None:
        self._stack = stack
        self._folders = folders
        self._deployment: Deployment | None = None

    def started(self) -> Deployment:
        self._stack.start()
        if self._deployment is not None and not self._deployment.sound:
            self.end()
        if self._deployment is None:
            self._deployment = Deployment(self._stack, self._folders.mktemp("deployment"))
        self._deployment.start()
        return self._deployment

    def end(self) -> None:
        if self._deployment is not None:
            self._deployment.end()
            self._deployment = None


@pytest.fixture(scope="session")
def kept(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Kept]:
    keeper = _Kept(stack, tmp_path_factory)
    yield keeper
    keeper.end()


@pytest.fixture
def whole(kept: _Kept) -> Deployment:
    """Two writers over one database and two followers over another, all up and ready."""
    return kept.started()
