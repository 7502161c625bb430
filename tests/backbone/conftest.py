"""One stack that stays whole for the session, and one that tests may break."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # the checker is a module beside the tests

from deskline_local.stack import Stack, open_stack
from deskline_local.testing import session_stack, stop_session_stack
from tests.backbone.system import Deployment


@pytest.fixture(scope="session")
def shared() -> Iterator[Stack]:
    yield session_stack()
    stop_session_stack()


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
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
def kept_whole(shared: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Kept]:
    kept = _Kept(shared, tmp_path_factory)
    yield kept
    kept.end()


@pytest.fixture(scope="session")
def kept_fragile(breakable: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Kept]:
    kept = _Kept(breakable, tmp_path_factory)
    yield kept
    kept.end()


@pytest.fixture
def whole(kept_whole: _Kept) -> Deployment:
    """Two writers over one database and two followers, whose servers are left alone."""
    return kept_whole.started()


@pytest.fixture
def fragile(kept_fragile: _Kept, breakable: Stack) -> Deployment:
    """The same, whose servers may be broken; they are up again for each test."""
    breakable.start()
    return kept_fragile.started()
