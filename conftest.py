"""What all tests of the repository share: one stack for the session, stopped when it ends."""

import os
from collections.abc import Iterator

import pytest

from deskline_local.kafka import JVM_VARIABLE, SHORT_LIVED
from deskline_local.stack import Stack
from deskline_local.testing import session_stack, stop_session_stack

os.environ.setdefault(JVM_VARIABLE, SHORT_LIVED)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Real Kafka and PostgreSQL; whoever hurts them puts them right again."""
    running = session_stack()
    yield running
    if running.kind == "processes":
        running.kafka.kill()  # nothing of it is wanted any more, and an orderly end takes 10 s
    stop_session_stack()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, a package's tests stay in one process: they share its servers, and some stop them."""
    for item in items:
        package = "/".join(item.path.relative_to(config.rootpath).parts[:2])
        item.add_marker(pytest.mark.xdist_group(package))
