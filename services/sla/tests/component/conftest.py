"""What component tests do besides."""

from collections.abc import Callable

import pytest
from services.sla.tests.replica import Replica

from deskline_sla.handlers.recalculating import recalculate_some


@pytest.fixture
def recalculate() -> Callable[..., bool]:
    """Recalculate some tickets; whether there may be more."""

    def some(replica: Replica, limit: int = 200) -> bool:
        return recalculate_some(replica.desks.open, limit)

    return some
