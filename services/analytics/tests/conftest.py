"""What all tests of analytics share: stories to tell."""

import pytest
from services.analytics.tests.journey import Journey


@pytest.fixture
def make_story() -> type[Journey]:
    return Journey
