"""A loop: what one is, how it tells how it fares, and how it says that it can't go on."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

READY_SECONDS: Final = 15.0


class FatalLoopError(Exception):
    """A loop can't go on and a new start of it can't help: the process ends with this code."""

    safe_message: ClassVar[bool] = True

    def __init__(self, exit_code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class Beat:
    """How a loop fares, told by the loop and read by the probes; threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._progressed_at = self._turned_at = clock()
        self._reason: str | None = "starting"

    def progress(self) -> None:
        """The loop got something done, or has nothing to do and all that it needs."""
        with self._lock:
            self._progressed_at = self._turned_at = self._clock()
            self._reason = None

    def red(self, reason: str) -> None:
        """A named dependency is missing; the loop turns and tries again."""
        with self._lock:
            self._turned_at = self._clock()
            self._reason = reason

    def alive(self) -> None:
        """The loop turned and still waits; it neither got on nor lacks anything that it could name."""
        with self._lock:
            self._turned_at = self._clock()

    @property
    def reason(self) -> str | None:
        """What was named as missing; None when nothing is."""
        return self._reason

    @property
    def progressed_at(self) -> float:
        """When the last progress was, by this beat's clock."""
        return self._progressed_at

    @property
    def age_seconds(self) -> float:
        """Since the last progress."""
        return self._clock() - self._progressed_at

    @property
    def turn_age_seconds(self) -> float:
        """Since the loop last showed any sign of life."""
        return self._clock() - self._turned_at

    def why_red(self) -> str | None:
        """Why readiness should be red; None when it should not."""
        with self._lock:
            reason, age = self._reason, self._clock() - self._progressed_at
        if reason is None and age > READY_SECONDS:
            return f"no progress for {age:.0f} s"
        return reason


Run = Callable[[Beat, asyncio.Event], Awaitable[None]]
"""A loop: runs until the event is set, beating on the way."""
