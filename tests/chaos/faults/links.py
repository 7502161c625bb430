"""A system whose every link goes through a proxy of its own, and whose processes may be armed with faults."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from tests.chaos.faults.crash_points import POINTS, parse
from tests.chaos.faults.proxy import Proxy
from tests.chaos.launched import CRASH_AT

from deskline_local.deployment import SERVICES, Doors
from deskline_local.kafka import Listener
from deskline_local.ports import HOST, choose
from deskline_local.postgres import PostgresProcess
from deskline_local.stack import open_stack
from deskline_local.system import System

OWNERS: Final = tuple(service for service in SERVICES if service != "gateway")
ROOT: Final = Path(__file__).parents[3]

Link = tuple[str, str]
"""(service, what it calls)"""

_LINKS: Final[tuple[Link, ...]] = (
    *((service, "postgres") for service in SERVICES),
    *(("gateway", owner) for owner in OWNERS),
    ("notify", "mailbox"),
)
"""Beside those to Kafka."""


class NotPassedError(ValueError):
    """A crash point that a service never passes."""


class Links:
    """How each service is started: through `tests.chaos.launched`, told the proxies' addresses.

        with Links.open(folder) as links:
            links.arm("tickets", "effect-commit:50-200")
            links.start(replicas=2)
            links.all()["tickets", "kafka"].cut()
            links.system.supervisor.kill("sla")

    A process knows what it was told when it started: what is armed or told later counts from its next life.
    """

    def __init__(self, folder: Path, doors: Doors, trace_sample: float) -> None:
        listeners = {service: Listener(choose(), choose()) for service in SERVICES}
        stack = open_stack(folder / "stack", "processes", listeners=listeners)
        self.system = System(folder, doors, stack=stack, trace_sample=trace_sample, launch=self)
        if not isinstance(stack.postgres, PostgresProcess):
            raise TypeError("PostgreSQL is no process of ours")
        behind = self.system.deployment.ports | {"postgres": stack.postgres.port}
        self._proxies: dict[Link, Proxy] = {
            **{(name, "kafka"): Proxy((HOST, at.port), at.advertised) for name, at in listeners.items()},
            **{(name, to): Proxy((HOST, behind[to])) for name, to in _LINKS},
        }
        self._asked: dict[tuple[str, int | None], dict[str, str]] = {}
        self._started: dict[tuple[str, int], tuple[dict[str, str], dict[str, str]]] = {}

    @classmethod
    def open(cls, folder: Path, doors: Doors | None = None, *, trace_sample: float = 0.01) -> "Links":
        """A system in this folder, nothing of it started yet, with servers of its own as processes."""
        return cls(folder, doors or Doors.anywhere(), trace_sample)

    def start(self, replicas: int = 1) -> None:
        """Proxies, servers and services; returns when everything is ready."""
        for proxy in self._proxies.values():
            proxy.start()
        self.system.stack.start()
        self.system.start(replicas)

    def stop(self) -> None:
        """Services, servers and proxies, each whether or not the one before ended well."""
        with ExitStack() as ending:
            for proxy in self._proxies.values():
                ending.callback(proxy.stop)
            ending.callback(self.system.stack.stop)
            ending.callback(self.system.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def all(self) -> dict[Link, Proxy]:
        """(service, what it calls) → its proxy: "kafka", "postgres", an owner for the gateway, "mailbox"."""
        return dict(self._proxies)

    def heal(self) -> None:
        """Every link is as it was."""
        for proxy in self._proxies.values():
            proxy.heal()

    def arm(self, service: str, points: str, replica: int | None = None) -> None:
        """Crash points of its processes, or of one: "point:low-high[,point:low-high]".

        Raises NotPassedError where the service doesn't pass such a point, and what `parse` raises.
        """
        for point in parse(points):
            if service not in POINTS[point]:
                raise NotPassedError(f"{service} does not pass {point}")
        self.tell(service, {CRASH_AT: points}, replica)

    def disarm(self) -> None:
        """No crash points any more; who runs keeps those that it began with until it is killed."""
        for asked in self._asked.values():
            asked.pop(CRASH_AT, None)
        self._refresh()

    def tell(self, service: str, variables: Mapping[str, str], replica: int | None = None) -> None:
        """Variables for the environment of its processes, or of one."""
        self._asked.setdefault((service, replica), {}).update(variables)
        self._refresh()

    def command(self, service: str) -> list[str]:
        """The service's command line, with the faults before it."""
        return [sys.executable, "-m", "tests.chaos.launched", service]

    def environment(self, service: str, replica: int, told: dict[str, str]) -> dict[str, str]:
        """What the deployment tells, with the proxies' addresses instead of the servers'.

        The supervisor reads it at each start, so that it is kept here and changed.
        """
        _, given = self._started.get((service, replica), ({}, {}))
        self._started[service, replica] = self._through_proxies(service, told), given
        self._refresh()
        return given

    def _refresh(self) -> None:
        for (service, replica), (told, given) in self._started.items():
            asked = self._asked.get((service, None), {}) | self._asked.get((service, replica), {})
            wanted = told | asked
            for name in given.keys() - wanted.keys():
                del given[name]
            given.update(wanted)

    def _through_proxies(self, service: str, told: dict[str, str]) -> dict[str, str]:
        prefix = f"DESKLINE_{service.upper()}"
        changed = {"DESKLINE_KAFKA": f"{HOST}:{self._proxies[service, 'kafka'].port}"}
        for name in (f"{prefix}_DATABASE_URL", f"{prefix}_MIGRATION_URL"):
            changed[name] = _at(told[name], self._proxies[service, "postgres"].port)
        if service == "notify":
            changed["DESKLINE_NOTIFY_SMTP_PORT"] = str(self._proxies["notify", "mailbox"].port)
        if service == "gateway":
            for owner in OWNERS:
                name = f"DESKLINE_GATEWAY_{owner.upper()}_URL"
                changed[name] = _at(told[name], self._proxies["gateway", owner].port)
        missing = changed.keys() - told.keys()
        if missing:
            raise KeyError(f"{service} is told its servers' addresses otherwise: {sorted(missing)}")
        return told | changed | {"PYTHONPATH": str(ROOT)}


def _at(url: str, port: int) -> str:
    """The same address with another port."""
    parts = urlsplit(url)
    who, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who}{at}{HOST}:{port}"))
