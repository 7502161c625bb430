"""One chaos run: a system with two of everything, those who use it, and the nemesis, until all is quiet."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.chaos.faults.crash_points import POINTS, killed_at
from tests.chaos.faults.links import Links
from tests.chaos.nemesis import Nemesis
from tests.chaos.plan import Field, Round, rounds
from tests.chaos.watch import Watch
from tests.chaos.workload import Crowd, Doors
from tests.judging.commands import Given
from tests.judging.deadlines import RECOVERED, Calm
from tests.judging.settling import OWNERS, READS, quiet
from tests.judging.waiting import until
from tests.traffic import Operator

from deskline_local.deployment import OWN_DOMAIN, SERVICES
from deskline_local.office import FIRST_TEAM, Office, Person
from deskline_local.ports import choose

REPLICAS = 2
OPERATORS = 4
SENDERS = 16
IMPATIENT_SECONDS = 6
LEAVES_EVERY = 3
REST_SECONDS = 0.4
HEARTBEAT_SECONDS = 15.0
AFTER_THE_LAST = 30.0
LAST_CALM = 3 * RECOVERED
QUIET_SECONDS = 240.0 + 10 * float(os.environ.get("MINUTES") or 0)
PATIENCE = 180.0
TOLD_EVERY = 20.0
FORMS_EVERYWHERE = {
    "DESKLINE_GATEWAY_FORM_PER_MINUTE": "100000",
    "DESKLINE_GATEWAY_FORM_BURST": "100000",
    "DESKLINE_GATEWAY_FORMS_PER_MINUTE": "1000000",
    "DESKLINE_GATEWAY_FORMS_BURST": "100000",
    "DESKLINE_GATEWAY_TOKEN_PER_SECOND": "10000",
    "DESKLINE_GATEWAY_TOKEN_BURST": "10000",
}
FORMS_OF_A_LINE = {"DESKLINE_INTAKE_FORM_LINE_LIMIT": "1000", "DESKLINE_INTAKE_FORM_LINE_SECONDS": "1"}


def say(what: str) -> None:
    """To who waits, past everything that keeps output back."""
    print(f"[{datetime.now(UTC):%H:%M:%S}] {what}", file=sys.__stderr__, flush=True)


@dataclass(frozen=True)
class Size:
    """How much of it: at least so many messages, rounds, kills and minutes, at so many messages a second.

    In a calm fewer come, so that two cores with two of everything, proxies and senders on them are a
    healthy system, of which deadlines are asked; what is missing of the messages comes after the last
    fault, at a rate of its own.
    """

    messages: int
    rounds: int
    rate: float
    rate_in_calms: float
    rate_in_peace: float
    kills: int
    minutes: float = 0.0

    def goes_on(self, rounds: int, kills: int, since: float) -> bool:
        """Whether another round is to come."""
        lasted = time.monotonic() - since >= self.minutes * 60
        return rounds < self.rounds or not lasted or (self.minutes > 0 and kills < self.kills)


@dataclass
class Run:
    """What runs, and what happened to it."""

    links: Links
    office: Office
    watch: Watch
    nemesis: Nemesis
    crowd: Crowd
    operators: list[Operator]
    shifts: "Shifts"
    seed: int
    played: list[Round] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        return self.links.system.folder

    @property
    def given(self) -> list[Given]:
        return [one for operator in self.operators for one in operator.given]

    def moments_of(self, service: str, servers: tuple[str, ...]) -> list[datetime]:
        """When something was in its way: its own deaths, and faults between it and these servers."""
        deaths = [
            at
            for name, moments in self.watch.deaths.items()
            for at in moments
            if name.split("-")[0] == service
        ]
        troubles = [
            at
            for trouble in self.nemesis.done.troubles
            if trouble.is_in_the_way_of(service, servers)
            for at in trouble.moments
        ]
        return sorted(deaths + troubles)

    @property
    def kills(self) -> int:
        """Lives of services and of servers ended by SIGKILL."""
        return self.watch.kills() + self.nemesis.done.server_kills

    def crashes(self) -> Counter[str]:
        """Crash point → deaths there."""
        found: Counter[str] = Counter()
        for name in self.watch.ports:
            found += killed_at(self.folder / "logs" / f"{name}.log")
        return found


def people() -> list[Person]:
    return [
        Person(f"operator{n}", f"0e000000-0000-7000-8000-00000000b00{n}", ("operator",), FIRST_TEAM)
        for n in range(OPERATORS)
    ]


def processes() -> list[str]:
    return [
        service if number == 0 else f"{service}-{number}"
        for number in range(REPLICAS)
        for service in SERVICES
    ]


def field_of(links: Links) -> Field:
    points = [(service, point) for point, services in POINTS.items() for service in services]
    return Field(processes(), sorted(links.all()), points, OWNERS, list(READS))


def tell_ports(links: Links) -> tuple[dict[str, int], int]:
    """Where each process tells how it fares, and the mail door of the second intake."""
    known = links.system.deployment.ports
    ports = {service: known[service] for service in SERVICES}
    for service in SERVICES:
        port = choose()
        ports[f"{service}-1"] = port
        links.tell(service, {f"DESKLINE_{service.upper()}_HTTP_PORT": str(port)}, 1)
    smtp = choose()
    links.tell("intake", {"DESKLINE_INTAKE_SMTP_PORT": str(smtp)}, 1)
    links.tell("intake", FORMS_OF_A_LINE)
    links.tell("gateway", FORMS_EVERYWHERE)
    return ports, smtp


@contextmanager
def started(folder: Path, seed: int, size: Size) -> Iterator[Run]:
    """A line for mails with a policy of seconds, so that clocks end while everything dies; one for forms."""
    began = time.monotonic()
    with Links.open(folder, trace_sample=0.02) as links:
        ports, smtp = tell_ports(links)
        links.start(REPLICAS)
        say(f"two of each service are ready ({time.monotonic() - began:.0f} s)")
        office = Office(links.system)
        operators: list[Operator] = []
        shifts = Shifts(operators)
        watch = Watch(links.system, ports)
        try:
            line = office.add_line("support")
            form = links.system.command("intake", "line", "add", "--name", "forms", "--form").strip()
            office.set_team(people())
            office.set_policy(line, IMPATIENT_SECONDS, actions=())
            for desk, person in zip(office.desks(people()), people(), strict=True):
                operators.append(Operator(office.admin.url, desk.token, person.id, LEAVES_EVERY))
                desk.close()
            gateways = [f"http://127.0.0.1:{ports[name]}" for name in ("gateway", "gateway-1")]
            doors = Doors([links.system.smtp, ("127.0.0.1", smtp)], gateways, f"support@{OWN_DOMAIN}", form)
            watch.start()
            nemesis = Nemesis(links, watch, seed, say)
            crowd = Crowd(doors, seed, size.rate)
            yield Run(links, office, watch, nemesis, crowd, operators, shifts, seed, began=began)
        finally:
            shifts.end()
            watch.stop()
            office.close()
            for operator in operators:
                operator.close()


class Shifts:
    """The operators at work; when there is no more to do, they only stay."""

    def __init__(self, operators: list[Operator]) -> None:
        self._operators = operators
        self._over = threading.Event()
        self._left = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self) -> None:
        self._threads = [
            threading.Thread(target=self._shift, args=(one,), daemon=True) for one in self._operators
        ]
        for thread in self._threads:
            thread.start()

    def over(self) -> None:
        """No more work is begun."""
        self._over.set()

    def end(self) -> None:
        """Everybody leaves."""
        self._over.set()
        self._left.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Raise what ended a shift."""
        if self._failures:
            raise self._failures[0]

    def _shift(self, operator: Operator) -> None:
        try:
            while not self._over.wait(REST_SECONDS):
                operator.work()
            # Who is out of reach loses the offers: while everything is counted nothing is to move.
            while not self._left.wait(HEARTBEAT_SECONDS):
                operator.online()
        except BaseException as failure:  # noqa: BLE001 -- told to whoever ends the shifts
            self._failures.append(failure)


def play(run: Run, size: Size) -> None:
    """Use and disturb it; return when nothing is on its way any more."""
    began = time.monotonic()
    telling = threading.Event()
    teller = threading.Thread(target=_tell, args=(run, telling), daemon=True)
    run.crowd.start(SENDERS)
    run.shifts.start()
    teller.start()
    try:
        calmly = partial(run.crowd.at, size.rate_in_calms)
        run.nemesis.play(_noted(run), lambda number: size.goes_on(number, run.kills, began), calmly)
        with calmly():
            _make_up_for_chance(run)
        _undisturbed(run, size)
        run.crowd.end(PATIENCE)
        run.shifts.over()
        until("everything applied and told", lambda: quiet(run.links.system), QUIET_SECONDS)
        say(f"{run.crowd.ledger.accepted} messages accepted, all is quiet ({time.monotonic() - began:.0f} s)")
    finally:
        telling.set()
        run.shifts.over()
        teller.join()
    run.shifts.check()


def _noted(run: Run) -> Iterator[Round]:
    for one in rounds(run.seed, field_of(run.links)):
        run.played.append(one)
        yield one


def _make_up_for_chance(run: Run) -> None:
    """Some points are passed seldom, and whoever was to die there, or to lead next, was killed before."""
    planned = {step.target[1] for one in run.played for step in one.steps if step.kind == "crash point"}
    for point in sorted(planned - set(run.crashes())):
        run.nemesis.crash_at(POINTS[point][-1], point, partial(_died_at, run, point))
    stopped = [step.target[0] for one in run.played for step in one.steps if step.kind == "leader stopped"]
    if stopped and not run.nemesis.done.handed_over:
        run.nemesis.hand_over(stopped[-1])


def _died_at(run: Run, point: str) -> bool:
    return run.crashes()[point] > 0


def _undisturbed(run: Run, size: Size) -> None:
    """I12: 30 s after the last fault nothing ends by itself any more, and what is missing still comes."""
    restarts = run.watch.restarts()
    since = max(trouble.end for trouble in run.nemesis.done.troubles).timestamp()
    until("half a minute of calm", lambda: time.time() - since >= AFTER_THE_LAST, AFTER_THE_LAST + 5)
    goal = size.messages
    run.crowd.go_on(size.rate_in_peace)

    def enough() -> bool:
        run.crowd.check()
        return run.crowd.ledger.accepted >= goal

    until(f"{goal} messages accepted", enough, PATIENCE + goal / size.rate_in_peace)
    run.crowd.go_on(size.rate_in_calms)
    until("nothing waits any more", run.watch.caught_up, PATIENCE)
    began = datetime.now(UTC)
    until("a calm", lambda: datetime.now(UTC) - began >= LAST_CALM, LAST_CALM.total_seconds() + 5)
    run.crowd.check()
    again = run.watch.restarts() - restarts
    run.nemesis.findings.check("I12 stays", again == 0, f"{again} processes ended by themselves")
    run.nemesis.done.calms.append(Calm(began, datetime.now(UTC)))


def _tell(run: Run, ended: threading.Event) -> None:
    before = 0
    while not ended.wait(TOLD_EVERY):
        accepted = run.crowd.ledger.accepted
        rate = (accepted - before) / TOLD_EVERY
        say(f"  {accepted} accepted ({rate:.0f}/s), {len(run.given)} commands, {run.kills} kills")
        before = accepted
