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
        found = [self.begin]
        while found[-1] + MOMENTS_APART < self.end:
            found.append(found[-1] + MOMENTS_APART)
        return [*found, self.end]


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
    announced: list[tuple[int, float]] = field(default_factory=list)
    """Events of an owner that were left to announce anew after it healed, and the seconds that they took."""
    guard: threading.Lock = field(default_factory=threading.Lock)
    """To be held by whoever adds to it while others may."""

    def passed(self, step: Step, begin: datetime) -> None:
        """A fault is over by now."""
        with self.guard:
            self.troubles.append(Trouble(step, begin, datetime.now(UTC)))
