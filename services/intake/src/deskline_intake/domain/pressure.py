"""Pressure: how long what was accepted will take, and whether the doors may take more."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Final

# A stage that did nothing for so long does not work slowly, it stands still: that is an outage, in which
# taking messages in is what helps.
STILL_SECONDS: Final = 5.0
# So little is no flood, whatever was learned of a stage's pace from the few that it had to do.
FEW: Final = 500
SPAN_SECONDS: Final = 4.0
FALL: Final = 0.5
MOST_RETRY_SECONDS: Final = 60
_WEIGHT: Final = 0.3


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a stage stands: what it has ever passed, and what is left before it."""

    passed: int
    left: int


@dataclass(slots=True)
class Pace:
    """How much a stage does a second when it never runs dry, learned from its standings."""

    rate: float | None = None
    left: int = 0
    _moved: tuple[float, Standing] | None = None

    def look(self, at: float, standing: Standing) -> None:
        """Learn from a standing; `at` is seconds of a clock that never goes back."""
        self.left = standing.left
        if self._moved is None:
            self._moved = at, standing
            return
        since, before = self._moved
        passed, span = standing.passed - before.passed, at - since
        if passed == 0 or span <= 0:
            # Some tell their progress once a second only.
            return
        self._moved = at, standing
        # Below it began anew, as after a topic was lost; what stood still tells nothing of its pace.
        if passed > 0 and span <= STILL_SECONDS:
            self._learn(passed / span, ran_dry=before.left < passed)

    def _learn(self, seen: float, *, ran_dry: bool) -> None:
        if self.rate is None:
            self.rate = None if ran_dry else seen
        elif not ran_dry:
            self.rate += _WEIGHT * (seen - self.rate)
        else:
            self.rate = max(self.rate, seen)

    def wait(self, at: float) -> float:
        """Seconds that what is left will take; 0 where it is little, not known, or the stage stands still."""
        if self._moved is None or self.rate is None or at - self._moved[0] > STILL_SECONDS:
            return 0.0
        return self.left / self.rate if self.left >= FEW else 0.0


@dataclass(slots=True)
class Pressure:
    """The doors' judge: up to `bound` seconds of work may be on their way.

    Above it the doors take only what lets the wait fall by half a second each second, so that after an
    outage, when much waits and little comes, what comes is taken, and a flood is not.
    """

    bound: float
    wait: float = field(default=0.0, init=False)
    is_high: bool = field(default=False, init=False)
    _paces: dict[str, Pace] = field(default_factory=dict, init=False)
    _waits: deque[tuple[float, float]] = field(default_factory=deque, init=False)

    def look(self, at: float, chain: Mapping[str, Standing], ends: Mapping[str, Standing]) -> None:
        """Judge anew: stages of the chain come one after the other, those at its ends side by side."""
        for name, standing in (*chain.items(), *ends.items()):
            self._paces.setdefault(name, Pace()).look(at, standing)
        self.wait = sum(self._waits_of(chain, at)) + max(self._waits_of(ends, at), default=0.0)
        self.is_high = self.wait > self.bound and not self._falls(at)
        self._waits.append((at, self.wait))

    def wait_of(self, name: str, at: float) -> float:
        """Seconds that a stage needs for what is left before it."""
        return self._paces[name].wait(at)

    @property
    def retry_seconds(self) -> int:
        """When somebody who is sent away may come again."""
        return max(1, min(MOST_RETRY_SECONDS, ceil(2 * (self.wait - self.bound))))

    def _waits_of(self, names: Iterable[str], at: float) -> list[float]:
        return [self.wait_of(name, at) for name in names]

    def _falls(self, at: float) -> bool:
        while self._waits and at - self._waits[0][0] > SPAN_SECONDS:
            self._waits.popleft()
        if not self._waits:
            return False
        since, before = self._waits[0]
        return before - self.wait >= FALL * (at - since)
