"""The system under test: everything as it is delivered, with limits that let everybody write at once."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from bench.load.client import ROOT, Client
from bench.registering import form_lines, tokens
from bench.topics import ends
from deskline_local.client import Desk
from deskline_local.deployment import OWN_DOMAIN, SERVICES, Doors
from deskline_local.office import FIRST_TEAM, Office, Person
from deskline_local.system import Installed, System

OPERATORS: Final = 20
NUMBERS: Final = 100_000  # the most customers of one batch
FORM_LINES: Final = 20
FOLDER: Final = os.environ.get("BENCH_FOLDER") or str(ROOT / ".deskline" / "bench")

# Doors are limited per address, and all of this load comes from one; presence lasts without heartbeats.
LIMITS: Final = {
    "gateway": {
        "DESKLINE_GATEWAY_TOKEN_PER_SECOND": "100000",
        "DESKLINE_GATEWAY_TOKEN_BURST": "100000",
        "DESKLINE_GATEWAY_FORM_PER_MINUTE": "100000",
        "DESKLINE_GATEWAY_FORM_BURST": "100000",
        "DESKLINE_GATEWAY_FORMS_PER_MINUTE": "1000000",
        "DESKLINE_GATEWAY_FORMS_BURST": "100000",
    },
    "intake": {
        "DESKLINE_INTAKE_FORM_LINE_LIMIT": "1000",
        "DESKLINE_INTAKE_FORM_LINE_SECONDS": "1",
        # A batch is more than the house works off in ten seconds: it is to be taken all the same.
        "DESKLINE_INTAKE_BACKLOG_SECONDS": "3600",
    },
    "routing": {"DESKLINE_ROUTING_PRESENCE_SECONDS": "3600"},
}


class Launch(Installed):
    """Services with those limits, whose provider of mail is the sink."""

    def __init__(self, mail_port: int) -> None:
        self._own = LIMITS | {"notify": {"DESKLINE_NOTIFY_SMTP_PORT": str(mail_port)}}

    def environment(self, service: str, replica: int, told: dict[str, str]) -> dict[str, str]:
        return super().environment(service, replica, told) | self._own.get(service, {})


@dataclass
class Company:
    """A running system, its people, and numbers for customers that nobody had before."""

    system: System
    sink: Client
    office: Office
    people: list[Person]
    desks: list[Desk]
    form_lines: list[str]
    numbers: Iterator[int] = field(default_factory=lambda: count(int(time.time()) * NUMBERS, NUMBERS))

    @property
    def processes(self) -> dict[str, int]:
        """Name → pid, of all that is measured: services, broker, database."""
        services = {name: self.system.supervisor.pid(name) for name in SERVICES}
        living = {name: pid for name, pid in services.items() if pid is not None}
        stack = self.system.stack
        return living | {"kafka": stack.kafka.pid, "postgres": stack.postgres.pid}

    def mails(
        self,
        number: int,
        connections: int = 8,
        rate: float | None = None,
        recipient: str = f"support@{OWN_DOMAIN}",
    ) -> Client:
        """That many customers about to write, each for the first time."""
        told = {
            "port": self.system.smtp[1],
            "recipient": recipient,
            "first": next(self.numbers),
            "count": number,
            "connections": connections,
            "rate": rate,
        }
        return Client("mails", told)

    def forms(self, number: int, connections: int = 16, rate: float | None = None) -> Client:
        """That many customers about to fill in a form, each for the first time."""
        told = {
            "url": self.system.gateway_url,
            "lines": self.form_lines,
            "first": next(self.numbers),
            "count": number,
            "connections": connections,
            "rate": rate,
        }
        return Client("forms", told)

    def events(self) -> int:
        """How many records the topics of events hold."""
        topics = [f"deskline.{owner}.events" for owner in SERVICES if owner not in {"analytics", "gateway"}]
        return sum(ends(self.system.bootstrap, topics).values())

    def everybody_online(self) -> None:
        """The operators' heartbeat; it lasts an hour here."""
        for desk in self.desks:
            desk.post("/v1/presence", {"state": "online"})


def told(
    system: System, service: str, *arguments: str, by: Sequence[str] = (), seconds: float = 7200.0
) -> str:
    """What a service's command that may take long printed, run `by` another; raises CalledProcessError."""
    command = [*by, str(Path(sys.executable).with_name(f"deskline-{service}")), *arguments]
    environment = system.deployment.environment(service)
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, timeout=seconds, check=True
    )
    return done.stdout


def _people() -> list[Person]:
    return [
        Person(f"operator {n}", f"0e000000-0000-7000-8000-00000000c0{n:02}", ("operator",), FIRST_TEAM)
        for n in range(OPERATORS)
    ]


@contextmanager
def running(say: Callable[[str], None], folder: str = FOLDER) -> Iterator[Company]:
    """A company in a folder that lasts; where none is named, a new one that leaves nothing behind."""
    with ExitStack() as held:
        place = folder or held.enter_context(tempfile.TemporaryDirectory(prefix="deskline-bench-"))
        sink = held.enter_context(Client("sink", {}))
        launch = Launch(int(sink.ready["port"]))
        system = System(Path(place), Doors.anywhere(), progress=say, lasting=bool(folder), launch=launch)
        held.enter_context(system)
        office = Office(system)
        held.callback(office.close)
        office.add_line("support")
        people = _people()
        office.set_team(people)
        desks = [Desk(system.gateway_url, system.smtp, token) for token in tokens(system, people)]
        for desk in desks:
            held.callback(desk.close)
        lines = form_lines(system, [f"form{number}" for number in range(FORM_LINES)], OWN_DOMAIN)
        company = Company(system, sink, office, people, desks, lines)
        company.everybody_online()
        yield company
