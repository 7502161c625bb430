"""Processes of the running system that end: by a signal now, or at a crash point of their next life."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from tests.chaos.faults.links import Links
from tests.chaos.watch import Watch

from deskline_local.errors import NotRunning

ALIVE_SECONDS = 15.0
DIED_SECONDS = 120.0
CRASH_WITHIN = "1-40"


class Crashes:
    """Safe to be used by several threads: only one armed life begins at a time."""

    def __init__(self, links: Links, watch: Watch, chance: Random) -> None:
        self._links = links
        self._watch = watch
        self._chance = chance
        self._supervisor = links.system.supervisor
        self._arming = threading.Lock()

    def kill(self, name: str) -> None:
        if self._alive(name):
            self._supervisor.kill(name)

    def stop(self, name: str, seconds: float) -> None:
        """SIGSTOP for so long."""
        if self._alive(name):
            self._supervisor.pause(name)
            time.sleep(seconds)
            self._supervisor.resume(name)

    def arm(self, service: str, point: str) -> None:
        """One of the service: its next life ends at the point, and the present one now."""
        name = self._chance.choice(self._replicas(service))
        replica = int(name.partition("-")[2] or 0)
        with self._arming:
            if not self._alive(name):
                return
            self._links.arm(service, f"{point}:{CRASH_WITHIN}", replica)
            killed = self._supervisor.kill(name)
            self._supervisor.wait_for(lambda: self._supervisor.pid(name) not in {killed, None}, ALIVE_SECONDS)
            self._links.disarm()

    def certainly(self, service: str, point: str, died: Callable[[], bool]) -> None:
        """Without chance: all of a service die at the point's next passing, until one did."""
        names = self._replicas(service)
        with self._arming:
            self._links.arm(service, f"{point}:1-1")
            try:
                self._renew(names)
                self._supervisor.wait_for(died, DIED_SECONDS)
            finally:
                self._links.disarm()
            # Who did not come to the point is still to die there, at a time when nobody may.
            self._renew(names)

    def _replicas(self, service: str) -> list[str]:
        return [one for one in self._watch.ports if one.split("-")[0] == service]

    def _renew(self, names: Iterable[str]) -> None:
        for name in names:
            before = self._supervisor.pid(name) if self._alive(name) else None
            # One that comes to its point just now is renewed by that.
            with contextlib.suppress(NotRunning):
                self._supervisor.kill(name)
            self._supervisor.wait_for(partial(self._is_another, name, before), ALIVE_SECONDS)

    def _is_another(self, name: str, before: int | None) -> bool:
        return self._supervisor.pid(name) not in {before, None}

    def _alive(self, name: str) -> bool:
        return self._supervisor.wait_for(lambda: self._supervisor.pid(name) is not None, ALIVE_SECONDS)
