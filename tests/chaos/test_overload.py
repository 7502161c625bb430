"""Five times of what can be sustained: the rest is told to come again, what was taken is kept and quick."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import psutil
import pytest
from tests.chaos.recovery.canary import Canaries
from tests.chaos.recovery.flood import Flood, Staff
from tests.chaos.recovery.loops import until
from tests.chaos.recovery.pressing import Pressed
from tests.judging import everything, messages, records
from tests.judging.everything import Topics
from tests.judging.records import Findings
from tests.judging.settling import NOTHING_LEFT, OWNERS, READS, UNANNOUNCED, unapplied
from tests.witness import rows

from deskline_local.deployment import OWN_DOMAIN, SERVICES, Doors
from deskline_local.office import FIRST_TEAM, Office, Person
from deskline_local.system import Installed, System

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

OVERLOAD_SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "120"))
TIMES = 5.0
# What is sustained is measured with so many clients of each kind, each of which waits for its answer.
MEASURE_SECONDS = 8.0
CLIENTS = {"mail": 8, "form": 2, "note": 6}
OPERATORS = 6
NOTED = 30
RECOVER_SECONDS = 30.0
# A canary is told of within so long when nothing else is done, on a machine that does much else.
QUICK_SECONDS = 3.0
MEBIBYTE = 1024 * 1024
MOST_MEMORY = 250 * MEBIBYTE
FLAT = 20 * MEBIBYTE
QUIET_SECONDS = 120.0


class Generous(Installed):
    """Forms are limited per line and address to keep a stranger out; here they are to be a load."""

    def environment(self, service: str, replica: int, told: dict[str, str]) -> dict[str, str]:
        limits = {
            "gateway": {
                "DESKLINE_GATEWAY_FORM_PER_MINUTE": "100000",
                "DESKLINE_GATEWAY_FORM_BURST": "1000",
                "DESKLINE_GATEWAY_FORMS_PER_MINUTE": "100000",
            },
            "intake": {"DESKLINE_INTAKE_FORM_LINE_LIMIT": "1000", "DESKLINE_INTAKE_FORM_LINE_SECONDS": "2"},
        }
        return super().environment(service, replica, told) | limits.get(service, {})


@dataclass
class Memory:
    """Resident memory of each process, second by second."""

    system: System
    seen: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(1.0):
            for service in SERVICES:
                pid = self.system.supervisor.pid(service)
                assert pid is not None, service
                self.seen[service].append((time.monotonic(), psutil.Process(pid).memory_info().rss))

    def peak(self, service: str) -> int:
        return max(size for _, size in self.seen[service])

    def course(self, service: str) -> list[int]:
        """MiB every ten seconds, to see by which course it came where it is."""
        return [size // MEBIBYTE for _, size in self.seen[service][::10]]

    def growth(self, service: str, since: float) -> int:
        """From the highest before a moment to the highest after it."""
        before = [size for at, size in self.seen[service] if at < since]
        after = [size for at, size in self.seen[service] if at >= since]
        return max(after) - max(before)


@dataclass
class Desk:
    """The system under load, with whom it takes."""

    system: System
    office: Office
    form_line: str
    staff: Staff

    def flood(self, name: str) -> Flood:
        host, _, port = self.system.gateway_url.removeprefix("http://").partition(":")
        return Flood(name, self.system.smtp, (host, int(port)), self.form_line, self.staff)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    system = System(tmp_path_factory.mktemp("pressed") / "system", Doors.anywhere(), launch=Generous())
    try:
        system.start()
        made = furnished(system)
        yield made
        made.office.close()
    finally:
        system.stop()


def furnished(system: System) -> Desk:
    """A line for mail and one for forms, a team, and tickets that are noted on."""
    office = Office(system)
    office.add_line("support")
    form = system.command(
        "intake", "line", "add", "--form", "--address", f"support@{OWN_DOMAIN}", "--name", "form"
    ).strip()
    people = [
        Person(f"operator{n}", f"0e000000-0000-7000-8000-00000000d00{n}", ("operator",), FIRST_TEAM)
        for n in range(OPERATORS)
    ]
    office.set_team(people)
    desks = office.desks(people)
    birds = Canaries(system)
    for _ in range(NOTED):
        birds.send()
    until(lambda: "no tickets", lambda: len(listed(office)) >= NOTED, 60)
    staff = Staff([one.id for one in people], [one.token for one in desks], listed(office))
    for one in desks:
        one.close()
    return Desk(system, office, form, staff)


def listed(office: Office) -> list[str]:
    return [one["ticket_id"] for one in office.lena.get("/v1/tickets", limit=100)["items"]]


def sustained(desk: Desk) -> dict[str, float]:
    """Requests a second of each kind, from the door to every reader, all kinds together."""
    began = time.monotonic()
    pressed = desk.flood("calm").sustain(CLIENTS, MEASURE_SECONDS)
    until(lambda: "not worked off", lambda: is_worked_off(desk.system), QUIET_SECONDS)
    took = time.monotonic() - began
    rates = {kind: len(pressed.names(kind, "taken")) / took for kind in CLIENTS}
    assert all(rates.values()), pressed.table()
    return rates


def is_worked_off(system: System) -> bool:
    """Whether all that was taken was read, announced and applied; mails on their way out may wait."""
    unread = rows(system.owner_url("intake"), NOTHING_LEFT["intake"]) != [(0,)]
    unannounced = [owner for owner in OWNERS if rows(system.owner_url(owner), UNANNOUNCED) != [(0,)]]
    return not unread and not unannounced and not any(unapplied(system, *read) for read in READS.items())


def recovered_after(system: System, ended: float) -> tuple[float, list[float]]:
    """Seconds after the load's end until a canary was quick again, and how long each one took."""
    canaries, took = Canaries(system), list[float]()
    canaries.numbers = iter(range(1000, 2000))
    while True:
        sent = time.monotonic()
        seconds = canaries.until_arrived(
            sent, RECOVER_SECONDS + 120, ("projected", "opened", "routed", "told")
        )
        took.append(round(seconds, 1))
        if seconds <= QUICK_SECONDS:
            return sent - ended, took


def test_overload_is_shed_at_the_edge_and_costs_what_was_taken_nothing(desk: Desk) -> None:
    calm, flood = sustained(desk), desk.flood("storm")
    with Memory(desk.system) as memory:
        began = time.monotonic()
        press = flood.press({kind: TIMES * rate for kind, rate in calm.items()}, OVERLOAD_SECONDS)
        ended = time.monotonic()
        after, canaries = recovered_after(desk.system, began + OVERLOAD_SECONDS)
    tell(press, calm, ended - began)
    half = began + OVERLOAD_SECONDS / 2
    print(
        f"quick again {after:.1f} s after it: canaries took {canaries}; MiB at most, more in the second half:"
    )
    print({one: (memory.peak(one) // MEBIBYTE, memory.growth(one, half) // MEBIBYTE) for one in SERVICES})
    print("every ten seconds:", {one: memory.course(one) for one in SERVICES})
    check_answers(press)
    assert after <= RECOVER_SECONDS, canaries
    for service in SERVICES:
        assert memory.peak(service) < MOST_MEMORY, service
        assert memory.growth(service, half) < FLAT, service
    check_traces(desk.system, press, flood)
    findings, _ = everything.at_rest(
        desk.system, (), QUIET_SECONDS, lambda found, topics: judge(desk.system, press, found, topics)
    )
    print(findings.table())
    assert not findings.wrong, findings.table()


def tell(press: Pressed, calm: dict[str, float], took: float) -> None:
    rates = ", ".join(f"{kind} {rate:.0f}" for kind, rate in calm.items())
    print(
        f"\nsustained a second: {rates}; offered {TIMES:g} times of it for {OVERLOAD_SECONDS:.0f} s, at most"
        f" {press.late:.1f} s late, ended after {took:.1f} s;"
        f" the longest answer took {press.longest:.1f} s\n{press.table()}"
    )


def check_answers(press: Pressed) -> None:
    """Each was taken or told to come again, and soon; each kind was both."""
    wrong = [one for one in press.ended if one.end in {"wrong", "unknown"}]
    assert not wrong, f"{len(wrong)}: {wrong[:5]}"
    for kind in CLIENTS:
        assert press.names(kind, "taken"), kind
        assert press.names(kind, "shed"), kind


def check_traces(system: System, press: Pressed, flood: Flood) -> None:
    """What was shed left nothing; what was taken is there, once."""
    for kind, stored in flood.stored(system).items():
        taken, shed = press.names(kind, "taken"), press.names(kind, "shed")
        left = set(stored)
        assert not left & shed, f"{kind}: {sorted(left & shed)[:5]}"
        assert taken <= left, f"{kind}: {sorted(taken - left)[:5]}"
        assert len(stored) == len(left), kind


def judge(system: System, press: Pressed, findings: Findings, topics: Topics) -> None:
    keys = records.person_keys(system.bootstrap, everything.KEYS, system.key_encryption_key)
    effects = messages.effects_by_mail(topics["tickets"], keys)
    accepted = [f"<{name}@flood.example>" for name in press.names("mail", "taken")]
    messages.check_effects(findings, accepted, (), effects)
    shed = [f"<{name}@flood.example>" for name in press.names("mail", "shed")]
    for mail in shed:
        findings.check("I11 shed", mail not in effects, f"{mail} was shed and has effects")
