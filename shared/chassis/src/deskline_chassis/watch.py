"""The watch over a consumer: partitions that are behind and do not move mean that it must be built anew."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from deskline_chassis.decoding import Place

PATIENCE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a partition stands: the position that was applied and the broker's end."""

    position: int
    end: int

    @property
    def lag(self) -> int:
        """Records to read; below 0 where the broker lost some that had been read."""
        return self.end - self.position


class Watch:
    """Remembers the standings that it was shown, and since when none of them moved."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._positions: dict[Place, int] = {}
        self._since = clock()

    def is_stalled(self, standings: Mapping[Place, Standing]) -> bool:
        """Whether something is to be read, or lost, and nothing has moved for the time of patience."""
        positions = {place: standing.position for place, standing in standings.items()}
        if positions != self._positions or all(standing.lag == 0 for standing in standings.values()):
            self._positions, self._since = positions, self._clock()
            return False
        return self._clock() - self._since >= PATIENCE_SECONDS
