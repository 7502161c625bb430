"""How often somebody may come: the generic cell rate algorithm, one number a key, and a bound on keys."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

MOST_KEYS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second for ever, and `burst` of them at once after a rest."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a token may come, a stranger's address, and all strangers together."""

    token: Rate
    stranger: Rate
    strangers: Rate


class Allowance:
    """What each key has left. The key that came longest ago is forgotten first, and starts afresh."""

    def __init__(self, rate: Rate, most_keys: int = MOST_KEYS) -> None:
        self._interval = 1.0 / rate.per_second
        self._tolerance = self._interval * (rate.burst - 1)
        self._most_keys = most_keys
        self._next: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable, now: float) -> float:
        """Count one for the key: 0.0, or the seconds to wait where it has none left, and nothing is counted.

        `now` is seconds of a clock that never goes back.
        """
        expected = max(self._next.get(key, now), now)
        early = expected - now - self._tolerance
        # Rounding of the sums must not refuse what is exactly on time.
        if early > self._interval * 1e-6:
            return early
        self._next[key] = expected + self._interval
        self._next.move_to_end(key)
        if len(self._next) > self._most_keys:
            self._next.popitem(last=False)
        return 0.0
