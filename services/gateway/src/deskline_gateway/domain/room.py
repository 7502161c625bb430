"""How many requests may be under way: as many as are answered in a short time, and no more (Little's law)."""

from dataclasses import dataclass, field
from typing import Final

LEAST: Final = 32
WINDOW_SECONDS: Final = 0.5
SLOW_SECONDS: Final = 1.5


@dataclass(slots=True)
class Room:
    """Places for requests, at most `most`: so many that an answer takes about `SLOW_SECONDS` with all taken.

    It is told by how long answers took lately and how many were inside, as if one more inside made all of
    them wait longer by its share. So a crowd that comes at once finds the places that its owners can serve,
    and who finds none is told so at once. Times are seconds of a clock that never goes back.
    """

    most: int
    inside: int = field(default=0, init=False)
    places: int = field(init=False)
    _since: float = field(default=0.0, init=False)
    _answered: int = field(default=0, init=False)
    _seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.places = self.most

    def enter(self) -> bool:
        """Take a place; whether there was one."""
        if self.inside >= self.places:
            return False
        self.inside += 1
        return True

    def leave(self, entered: float, now: float) -> None:
        """Give the place back that was taken at a moment."""
        self.inside -= 1
        self._answered += 1
        self._seconds += now - entered
        if now - self._since >= WINDOW_SECONDS:
            self._judge(now)

    def _judge(self, now: float) -> None:
        took = self._seconds / self._answered
        crowd = max(1.0, self._seconds / (now - self._since))
        wanted = crowd * SLOW_SECONDS / took if took > 0 else self.most
        # Half of the way at a time: one window may hold nothing but a slow report.
        halfway = round((self.places + min(self.most, wanted)) / 2)
        self.places = max(min(LEAST, self.most), min(self.most, halfway))
        self._since, self._answered, self._seconds = now, 0, 0.0
