"""Waiting for what is to become true, with a deadline that fails."""

import time
from collections.abc import Callable


def until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Return when it holds; raises AssertionError naming what never came."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)
