"""A system that is to be hurt, with customers who go on writing and an eye on all of its loops."""

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from tests.chaos.recovery.canary import Canaries, unmarked
from tests.chaos.recovery.loops import HEAL_SECONDS, Freezing, Loop, Loops, until
from tests.judging.poison import parked_by
from tests.judging.settling import READS
from tests.traffic import Customers

from deskline_local.deployment import SERVICES, Doors
from deskline_local.office import OLGA, Office
from deskline_local.system import System

MAILS_PER_SECOND = 8.0
WRITERS = 6
PERSONS = 60
POLICY_SECONDS = 4


@dataclass(frozen=True)
class Healed:
    """Seconds after the last fault until each kind of proof was there."""

    loops: float
    marks: float
    canary: float


@dataclass
class Company:
    """`known` are all loops of all services, as they were seen when everything was well."""

    system: System
    freezing: Freezing
    office: Office
    customers: Customers
    loops: Loops
    canaries: Canaries
    known: list[Loop] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    killed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Self:
        freezing = Freezing(folder / "switches", sys.executable)
        system = System(folder / "system", Doors.anywhere(), launch=freezing)
        try:
            system.start()
            office = Office(system)
            line = office.add_line("support")
            office.set_team([OLGA])
            office.set_policy(line, POLICY_SECONDS, actions=())
        except BaseException:
            system.stop()
            raise
        customers = Customers(system.smtp[1], PERSONS)
        company = cls(system, freezing, office, customers, Loops(system), Canaries(system))
        company.known = sorted(company.loops.ages())
        assert {service for service, _ in company.known} == set(SERVICES)
        return company

    def close(self) -> None:
        self.office.close()
        self.loops.close()
        self.system.stop()

    @contextmanager
    def mail(self) -> Iterator[None]:
        """While inside, customers write, whoever is served or not; afterwards all of it is accepted."""
        ended = threading.Event()

        def write() -> None:
            while not ended.wait(WRITERS / MAILS_PER_SECOND):
                self.customers.deliver(next(self.numbers))

        with ThreadPoolExecutor(WRITERS) as pool:
            writing = [pool.submit(write) for _ in range(WRITERS)]
            try:
                yield
            finally:
                ended.set()
            for one in writing:
                one.result()

    def until_healed(self, since: float) -> Healed:
        """After the last fault: loops, relay marks and a canary, all within the promise's time."""
        at = datetime.now(UTC)
        with ThreadPoolExecutor(3) as pool:
            loops = pool.submit(self.loops.until_healed, self.known, since)
            canary = pool.submit(self.canaries.until_arrived, since, HEAL_SECONDS)
            marks = pool.submit(self._until_marked, since, at)
            return Healed(loops.result(), marks.result(), canary.result())

    def _until_marked(self, since: float, at: datetime) -> float:
        left: list[str] = ["marks"]

        def marked() -> bool:
            left[:] = unmarked(self.system.bootstrap, at)
            return not left

        until(lambda: f"no mark of {left}", marked, HEAL_SECONDS)
        return time.monotonic() - since

    def kill(self, service: str) -> None:
        """SIGKILL; the supervisor starts it again."""
        self.system.supervisor.kill(service)
        self.killed[service] = self.killed.get(service, 0) + 1

    @property
    def restarted(self) -> dict[str, int]:
        """How often each service was started again that we did not kill, after how it ended."""
        return {
            service: count
            for service in SERVICES
            if (count := self.system.supervisor.restarts(service) - self.killed.get(service, 0))
        }

    def nothing_parked(self) -> None:
        for reader in READS:
            assert parked_by(self.system.owner_url(reader)) == [], reader
