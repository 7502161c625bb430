"""What was done to the system: each fault while it lasted, and what all of them came to."""

import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.chaos.plan import LINKS, Step
from tests.judging.deadlines import Calm
from tests.judging.poison import Poison

MOMENTS_APART = timedelta(seconds=5)


@dataclass(frozen=True)
class Trouble:
    """A fault while it lasted; killed processes are told of by the watch."""

    step: Step
    begin: datetime
    end: datetime

    def is_in_the_way_of(self, service: str, servers: Collection[str]) -> bool:
        """Whether it came between a service and one of these servers, or stopped the service itself."""
        kind, target = self.step.kind, self.step.target
        if kind in LINKS:
            return target[0] == service and target[1] in servers
        if kind in {"service stopped", "leader stopped", "rebalance storm"}:
            return target[0].split("-")[0] == service
        return kind == "everything killed" or kind.split(" ")[0] in servers

    @property
    def moments(self) -> list[datetime]:
        """Moments of it, not far apart."""
        return _moments(self.begin, self.end)


@dataclass(frozen=True)
class Announced:
    """Logs announced anew, from the loss until the last reader was through; `events` were left at first.

    What is new comes after all that is old, so that everything which follows from it waits meanwhile.
    """

    begin: datetime
    end: datetime
    events: int

    @property
    def seconds(self) -> float:
        return (self.end - self.begin).total_seconds()

    @property
    def moments(self) -> list[datetime]:
        """Moments of it, not far apart."""
        return _moments(self.begin, self.end)


def _moments(begin: datetime, end: datetime) -> list[datetime]:
    found = [begin]
    while found[-1] + MOMENTS_APART < end:
        found.append(found[-1] + MOMENTS_APART)
    return [*found, end]


@dataclass
class Done:
    """What came of a plan."""

    counts: Counter[str] = field(default_factory=Counter)
    troubles: list[Trouble] = field(default_factory=list)
    planted: list[Poison] = field(default_factory=list)
    calms: list[Calm] = field(default_factory=list)
    losses: list[datetime] = field(default_factory=list)
    server_kills: int = 0
    rebalances: int = 0
    handed_over: int = 0
    repeated: int = 0
    rounds: int = 0
    healed: list[tuple[str, float]] = field(default_factory=list)
    announced: list[Announced] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)
    """To be held by whoever adds to it while others may."""

    def passed(self, step: Step, begin: datetime) -> None:
        """A fault is over by now."""
        with self.guard:
            self.troubles.append(Trouble(step, begin, datetime.now(UTC)))
