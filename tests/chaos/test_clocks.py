"""One process' clock jumps by minutes, forth and back: no breach comes early, and nothing is lost."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests.chaos.faults.clock import Clock, FaketimeMissing, library
from tests.chaos.faults.links import Links
from tests.judging import commands, deadlines, everything, messages, notifications, records
from tests.judging.everything import Topics
from tests.judging.records import Findings
from tests.traffic import Customers, Operator, until
from tests.witness import rows

from deskline_local.office import FIRST_TEAM, Office, Person
from deskline_local.system import System

pytestmark = [pytest.mark.extra, pytest.mark.timeout(300)]

JUMP = timedelta(minutes=7)
JUMPED = ("sla", "notify", "tickets")
OFFSETS = (JUMP, -JUMP, timedelta())
NEAR = timedelta(seconds=30)
IMPATIENT_SECONDS = 3
PERSONS = 1000
MAILS_EACH = 8
GAP_SECONDS = 0.25
SEEN_SECONDS = 20.0
PHASE_SECONDS = 60.0
QUIET_SECONDS = 90.0
OPERATOR = Person("operator", "0e000000-0000-7000-8000-00000000b001", ("operator",), FIRST_TEAM)
LOOKED_AT = {"I1 accepted", "I3 order", "I4 complete", "I5 once", "I6 not early", "I6 once", "I6 all fired"}
LOOKED_AT |= {"I6 no false breach", "I7 acknowledged", "I7 once", "I7 wire", "I2 kept"}


@dataclass
class Run:
    """A system with traffic; each of `clocks` belongs to one of its processes."""

    system: System
    clocks: dict[str, Clock]
    customers: Customers
    operator: Operator
    ended: threading.Event = field(default_factory=threading.Event)
    offsets: list[tuple[str, timedelta]] = field(default_factory=list)

    def write(self) -> None:
        number = 0
        while not self.ended.wait(GAP_SECONDS):
            self.customers.deliver(number)
            number += 1

    def shown(self, service: str) -> timedelta:
        """How far the process' clock is off, as its answers say."""
        url = f"http://127.0.0.1:{self.system.deployment.ports[service]}/healthz"
        told = parsedate_to_datetime(httpx.get(url, timeout=10).headers["date"])
        return told - datetime.now(UTC)

    def fired(self) -> int:
        return int(rows(self.system.owner_url("sla"), "SELECT count(*) FROM fired_deadlines")[0][0])

    def jump(self, service: str, offset: timedelta) -> None:
        """Let it work so for a while: mails come in, clocks end."""
        self.clocks[service].jump(offset)
        near = partial(self._is_off, service, offset)
        until(f"{service} is off by {offset}", near, SEEN_SECONDS)
        mails, fired = len(self.customers.accepted) + MAILS_EACH, self.fired()
        until("mails accepted", lambda: self.customers.reached(mails), PHASE_SECONDS)
        until("clocks ended", lambda: self.fired() > fired, PHASE_SECONDS)
        assert near(), f"{service} was off by {self.shown(service)} at the end"
        self.offsets.append((service, offset))

    def _is_off(self, service: str, offset: timedelta) -> bool:
        return abs(self.shown(service) - offset) < NEAR

    def work(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self.operator.work()


@contextmanager
def doing(work: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    """Beside the block; what it raises is raised."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        try:
            yield
        finally:
            end()
        done.result()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Run]:
    clocks = {service: Clock(tmp_path / f"{service}.offset") for service in JUMPED}
    with Links.open(tmp_path / "system") as links:
        for service, clock in clocks.items():
            links.tell(service, clock.variables)
        links.start()
        office = Office(links.system)
        office.set_team([OPERATOR])
        office.set_policy(office.add_line("support"), IMPATIENT_SECONDS, actions=())
        operator = Operator(office.admin.url, office.desk(OPERATOR).token, OPERATOR.id)
        yield Run(links.system, clocks, Customers(links.system.smtp[1], PERSONS), operator)
        operator.close()
        office.close()


def judge(run: Run, findings: Findings, topics: Topics) -> None:
    system = run.system
    keys = records.person_keys(system.bootstrap, everything.KEYS, system.key_encryption_key)
    effects = messages.effects_by_mail(topics["tickets"], keys)
    messages.check_effects(findings, run.customers.accepted, run.customers.unknown, effects)
    commands.check_commands(findings, run.operator.given, topics["tickets"])
    late = deadlines.check_firings(findings, topics["sla"], topics["tickets"])
    deadlines.check_all_fired(findings, topics["sla"], datetime.now(UTC))
    notifications.check_notifications(findings, topics["notify"], topics["tickets"], system.letters(), 0)
    print(
        f"{len(run.customers.accepted)} mails, {len(run.operator.given)} commands, {len(late)} steps fired,"
        f" late at most {max(late, default=0):.1f} s"
    )


def test_jumping_clocks_fire_nothing_early_and_lose_nothing(running: Run) -> None:
    began = time.monotonic()
    with doing(running.write, running.ended.set):
        shift = threading.Event()
        with doing(partial(running.work, shift), shift.set):
            for service in ("sla", "notify"):
                for offset in OFFSETS:
                    running.jump(service, offset)
        # Identities that the gateway signs are short-lived: so wrong about time, tickets takes no command.
        for offset in OFFSETS:
            running.jump("tickets", offset)
    print(f"\nclocks jumped for {time.monotonic() - began:.0f} s")
    findings, _ = everything.at_rest(running.system, [], QUIET_SECONDS, partial(judge, running))
    print(findings.table())
    assert not findings.wrong, findings.table()
    assert set(findings.checked) >= LOOKED_AT
    assert running.offsets == [(service, offset) for service in JUMPED for offset in OFFSETS]
    assert {service: running.system.supervisor.restarts(service) for service in JUMPED} == dict.fromkeys(
        JUMPED, 0
    )


def test_missing_library_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DESKLINE_TEST_FAKETIME", str(tmp_path / "none.so"))
    with pytest.raises(FaketimeMissing, match=r"none\.so is not there: install Debian's libfaketime"):
        library()
