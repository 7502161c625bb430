"""Who gets on again after faults, seen look after look from beside the system."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.judging.settling import OWNERS

MUCH = 1_000
"""Events that an owner has not announced: two of its rounds. With fewer its watermarks come as always."""


@dataclass(frozen=True)
class Standing:
    """Loop → how far it is, a number that changes when it gets on; owner → events not announced yet."""

    marks: Mapping[str, int]
    unannounced: Mapping[str, int] = field(default_factory=dict)

    @property
    def to_announce(self) -> int:
        """Of the owner that has most of it."""
        return max(self.unannounced.values(), default=0)


class Healing:
    """`still` are the loops that have not moved since the first look.

    An owner whose topic was lost announces its whole log anew, and until it is through with that it can't
    say of any moment that nothing from before it is under way: its watermark is silent for as long as the
    log is. That loop gets on when the relay does, from one look to the next. Behind all that is old nothing
    new reaches the other owners meanwhile, and a relay that has nothing to announce does not stand still.
    """

    def __init__(self) -> None:
        self._first: Standing | None = None
        self._last: Standing | None = None
        self.still = {"everything"}

    def look(self, standing: Standing) -> None:
        if self._first is not None and self._last is not None:
            self.still = {
                name for name, mark in standing.marks.items() if mark == self._first.marks.get(name, 0)
            }
            self.still -= {f"watermark of {one}" for one in OWNERS if self._announces_anew(one, standing)}
            self.still -= {f"relay of {one}" for one in OWNERS if not standing.unannounced.get(one, 1)}
        self._first = self._first or standing
        self._last = standing

    def _announces_anew(self, owner: str, standing: Standing) -> bool:
        assert self._last is not None
        relay = f"relay of {owner}"
        gets_on = standing.marks.get(relay, 0) > self._last.marks.get(relay, 0)
        return gets_on and standing.unannounced.get(owner, 0) >= MUCH
