"""What the tests of the delivery share: the engine with its images, or a clear word that there is none."""

from collections.abc import Iterator

import pytest
from tests.delivery.engine import DEPLOYABLES, EngineMissingError, Image, require_engine


@pytest.fixture(scope="session")
def engine() -> None:
    """A container engine that answers; what is asked for and missing fails."""
    try:
        require_engine()
    except EngineMissingError as missing:
        pytest.fail(str(missing))


@pytest.fixture(scope="module", params=DEPLOYABLES)
def image(request: pytest.FixtureRequest, engine: None) -> Iterator[Image]:
    """Each image in turn, as `make images` built it."""
    try:
        yield Image.built(request.param)
    except EngineMissingError as missing:
        pytest.fail(str(missing))
