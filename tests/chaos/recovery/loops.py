"""How every loop of every process fares: what its probe says of it, and when it last made progress."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from deskline_local.deployment import SERVICES
from deskline_local.system import System

PROBE_SECONDS = 2.0
LOOK_SECONDS = 0.25
RED_SECONDS = 15.0
HEAL_SECONDS = 30.0
AGE = re.compile(r'^deskline_loop_progress_age_seconds\{loop="([^"]+)"\} (\S+)$', re.MULTILINE)

Loop = tuple[str, str]
"""A service and its loop."""


def until(what: Callable[[], str], holds: Callable[[], bool], seconds: float) -> float:
    """The seconds until it holds; fails with what is still missing then."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what()}"
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


@dataclass
class Loops:
    """The first replica of every service, by its probes."""

    system: System
    _http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=PROBE_SECONDS, trust_env=False))

    def close(self) -> None:
        self._http.close()

    def _ask(self, service: str, path: str) -> httpx.Response | None:
        try:
            return self._http.get(f"http://127.0.0.1:{self.system.deployment.ports[service]}{path}")
        except httpx.HTTPError:
            return None

    def red(self, service: str) -> dict[str, str]:
        """Loop → why it is red; who does not answer is red as a whole."""
        answer = self._ask(service, "/readyz")
        if answer is None:
            return {"http": "no answer"}
        return {} if answer.is_success else dict(answer.json()["loops"])

    def all_red(self) -> dict[Loop, str]:
        """Of every service."""
        return {(service, loop): why for service in SERVICES for loop, why in self.red(service).items()}

    def ages(self) -> dict[Loop, float]:
        """Seconds since each loop's last progress; a process that does not answer has no loop."""
        found: dict[Loop, float] = {}
        for service in SERVICES:
            answer = self._ask(service, "/metrics")
            if answer is not None:
                found |= {(service, loop): float(age) for loop, age in AGE.findall(answer.text)}
        return found

    def still(self, since: float, known: Iterable[Loop]) -> list[str]:
        """Which of the known loops made no progress after a moment of the monotonic clock, or are red."""
        ages, now = self.ages(), time.monotonic()
        stopped = [
            f"{service}.{loop} made no progress"
            for service, loop in known
            if ages.get((service, loop), now) >= now - since
        ]
        return stopped + [f"{service}.{loop}: {why}" for (service, loop), why in self.all_red().items()]

    def until_red(self, wanted: Iterable[Loop], since: float, seconds: float) -> dict[Loop, float]:
        """Seconds since a moment until each of these was red; a service that does not answer is red."""
        missing, took = set(wanted), dict[Loop, float]()

        def all_red() -> bool:
            for service, loop in sorted(missing):
                red = self.red(service)
                if loop in red or red == {"http": "no answer"}:
                    took[service, loop] = time.monotonic() - since
                    missing.discard((service, loop))
            return not missing

        until(lambda: f"red {sorted(missing)}", all_red, seconds)
        return took

    def until_healed(self, known: Iterable[Loop], since: float) -> float:
        """Seconds since the last fault until every loop had made progress and none was red."""
        loops = list(known)
        left: list[str] = []

        def healed() -> bool:
            left[:] = self.still(since, loops)
            return not left

        until(lambda: "; ".join(left), healed, HEAL_SECONDS - (time.monotonic() - since))
        return time.monotonic() - since


class Freezing:
    """Starts services by the command that lets single loops be frozen; see `freezing`."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder = folder
        self._python = python

    def command(self, service: str) -> list[str]:
        return [self._python, "-m", "tests.chaos.recovery.freezing", service]

    def environment(self, service: str, replica: int, told: dict[str, str]) -> dict[str, str]:
        self._place(service).mkdir(parents=True, exist_ok=True)
        root = Path(__file__).parents[3]
        return told | {"CHAOS_FREEZE": str(self._place(service)), "PYTHONPATH": str(root)}

    def _place(self, service: str) -> Path:
        return self._folder / service

    @contextmanager
    def frozen(self, loops: Iterable[Loop]) -> Iterator[None]:
        """While inside, none of these goes on."""
        switches = [self._place(service) / loop for service, loop in loops]
        for switch in switches:
            switch.touch()
        try:
            yield
        finally:
            for switch in switches:
                switch.unlink()
