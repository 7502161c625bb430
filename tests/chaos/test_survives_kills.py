"""Mails and commands while every service is killed, alone and with two replicas each: all promises hold."""

import json
import random
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from tests.judging import (
    applying,
    commands,
    deadlines,
    erasure,
    everything,
    messages,
    notifications,
    offers,
    poison,
    records,
    sharing,
)
from tests.judging.everything import Topics
from tests.judging.poison import Poison
from tests.judging.records import Findings
from tests.judging.settling import OWNERS, READS, quiet
from tests.traffic import Customers, Operator, until

from deskline_local.deployment import SERVICES, Doors
from deskline_local.office import FIRST_TEAM, Office, Person
from deskline_local.system import System

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

MAILS = 500
PERSONS = 100
COMMANDS = 100
CONNECTIONS = 8
OPERATORS = 4
KILLS_EACH = 2
QUIET_SECONDS = 150.0
IMPATIENT_SECONDS = 6
ERASED = 7
ASKED_AGAIN = 10
# A judge that looks at nothing finds nothing.
LOOKED_AT = {
    *("I1 accepted", "I1 source", "I2 kept", "I2 no other", "I2 once", "I3 order", "I3 repeats", "I3 store"),
    *("I4 complete", "I5 position", "I5 streams", "I5 once", "I5 answered", "I5 order"),
    *("I6 all fired", "I6 not early", "I6 once", "I7 acknowledged", "I7 once", "I7 reply", "I7 wire"),
    *("I8 tickets", "I8 routing", "I8 load", "I8 sla", "I8 sla met", "I8 sla due", "I8 notify"),
    *("I8 intents", "I8 analytics", "I9 parked", "I9 cause", "I9 it alone", "I9 in 10 s", "I9 flow"),
}
INTAKE, TICKETS = "deskline.intake.events", "deskline.tickets.events"


@dataclass
class Run:
    """What happened; `deaths` are the moments at which each process was killed."""

    system: System
    replicas: int
    office: Office
    customers: Customers
    operators: list[Operator]
    deaths: dict[str, list[datetime]] = field(default_factory=dict)
    planted: list[Poison] = field(default_factory=list)

    @property
    def processes(self) -> list[str]:
        return [
            service if number == 0 else f"{service}-{number}"
            for number in range(self.replicas)
            for service in SERVICES
        ]

    def deaths_of(self, service: str) -> list[datetime]:
        """Of any of its replicas."""
        return sorted(
            at for process, moments in self.deaths.items() for at in moments if process.startswith(service)
        )

    @property
    def given(self) -> list[commands.Given]:
        return [one for operator in self.operators for one in operator.given]

    @property
    def done(self) -> list[commands.Given]:
        return [one for one in self.given if one.status < 300]


@pytest.fixture(params=[1, 2], ids=["one replica", "two replicas"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[System, int]]:
    system = System(tmp_path / "system", Doors.anywhere(), trace_sample=1.0)
    try:
        system.start(replicas=request.param)
        yield system, request.param
    finally:
        system.stop()


def people() -> list[Person]:
    return [
        Person(f"operator{n}", f"0e000000-0000-7000-8000-00000000b00{n}", ("operator",), FIRST_TEAM)
        for n in range(OPERATORS)
    ]


def set_up(system: System) -> tuple[Office, list[Operator]]:
    """A line with a policy of seconds, so that clocks end while everything dies; one team for all."""
    office = Office(system)
    line = office.add_line("support")
    office.set_team(people())
    office.set_policy(line, IMPATIENT_SECONDS, actions=())
    desks = zip(people(), office.desks(people()), strict=True)
    return office, [Operator(office.admin.url, desk.token, person.id) for person, desk in desks]


def plant(run: Run) -> None:
    """Poison on every partition of two topics, and a stream of a ticket that nobody can read."""
    run.planted += poison.plant(run.system.bootstrap, INTAKE)
    run.planted += poison.plant(run.system.bootstrap, TICKETS, broken="deskline.tickets.TicketOpened.v1")


def kill_everything(run: Run, seed: int) -> None:
    """Kill each process at least twice, spread over the deliveries; poison comes in the middle of it."""
    chance = random.Random(seed)
    plan = [process for process in run.processes for _ in range(KILLS_EACH)]
    chance.shuffle(plan)
    for done, process in enumerate(plan, start=1):
        goal = MAILS * done // (len(plan) + 1)
        until(f"{goal} mails accepted", partial(run.customers.reached, goal), 240)
        until(f"{process} alive", lambda process=process: run.system.supervisor.pid(process) is not None, 30)  # type: ignore[misc]
        run.system.supervisor.kill(process)
        run.deaths.setdefault(process, []).append(datetime.now(UTC))
        if done == len(plan) // 2:
            plant(run)


def work(run: Run, ended: threading.Event) -> None:
    """The operators' shift: at least so many commands, and for as long as mails come."""

    def shift(operator: Operator) -> None:
        while not ended.is_set() or len(run.done) < COMMANDS:
            operator.work()

    with ThreadPoolExecutor(len(run.operators)) as pool:
        for one in [pool.submit(shift, operator) for operator in run.operators]:
            one.result()


def play(run: Run) -> None:
    ended = threading.Event()
    with ThreadPoolExecutor(CONNECTIONS + 2) as pool:
        killing = pool.submit(kill_everything, run, 20261122)
        working = pool.submit(work, run, ended)
        delivering = [pool.submit(run.customers.deliver, number) for number in range(MAILS)]
        try:
            for one in delivering:
                one.result()
            killing.result()
        finally:
            ended.set()
        working.result()
    for process in run.processes:
        until(f"{process} restarted", lambda p=process: run.system.supervisor.restarts(p) >= KILLS_EACH, 30)  # type: ignore[misc]


def judge(run: Run, findings: Findings, topics: Topics) -> None:
    """What depends on what clients were told; the readers are judged by `everything`."""
    system = run.system
    keys = records.person_keys(system.bootstrap, everything.KEYS, system.key_encryption_key)
    effects = messages.effects_by_mail(topics["tickets"], keys)
    messages.check_effects(findings, run.customers.accepted, run.customers.unknown, effects)
    commands.check_commands(findings, run.given, topics["tickets"])
    late = deadlines.check_firings(findings, topics["sla"], topics["tickets"])
    over = deadlines.check_all_fired(findings, topics["sla"], datetime.now(UTC))
    senders = run.deaths_of("notify")
    most = len(senders) * notifications.REPEATS_PER_DEATH
    letters = system.letters()
    notifications.check_notifications(findings, topics["notify"], topics["tickets"], letters, most)
    arrived = notifications.arrivals(system.mailbox.folder)
    again = notifications.check_repeats(findings, topics["notify"], arrived, senders)
    shares = offers.check_offers(findings, topics["tickets"])
    everything.judge_read_models(findings, system, topics, run.office.admin)
    went = everything.judge_poison(
        findings, system, topics, run.planted, {reader: run.deaths_of(reader) for reader in READS}
    )
    print(
        f"\n{len(run.customers.accepted)} mails accepted, {sum(run.customers.accepted.values())} deliveries,"
        f" {len(run.customers.unknown)} of unknown fate; {len(run.given)} commands, {len(run.done)} done,"
        f" {sum(one.unknown for one in run.operators)} asked again; {len(late)} steps fired, {over} clocks"
        f" over, late at most {max(late, default=0):.1f} s; {len(letters)} mails sent, {again} of them again;"
        f" offers {sorted(shares.values())}; {applying.repeats(topics)} records announced again;"
        f" kills { {process: len(moments) for process, moments in run.deaths.items()} }\n{went}"
    )
    assert len(run.customers.accepted) == MAILS
    assert len(run.done) >= COMMANDS
    assert late, "no step fired"
    assert not LOOKED_AT - set(findings.checked)


def check_same_answers(run: Run) -> None:
    """I2: the same Idempotency-Key gives the same answer, after everything; a refusal the same refusal."""
    refused: list[str] = []
    for operator in run.operators:
        for one in [given for given in operator.given if given.status < 300][:ASKED_AGAIN]:
            assert operator.again(one) == (one.status, one.answer), one
        for one in [given for given in operator.given if given.status >= 300][:ASKED_AGAIN]:
            status, answer = operator.again(one)
            told = f"{one.what} {one.status} {one.answer['code']}"
            refused.append(told)
            assert (status, answer["code"]) == (one.status, one.answer["code"]), f"{told}: {status} {answer}"
    print(f"refused and asked again: {sorted(refused)}")


def check_silence(run: Run) -> None:
    """I16, I5: announced anew, applied anew: nobody is told of it, and nothing is changed by it.

    Operators leave meanwhile, and what follows from that is told: it is new.
    """
    before = [letter.message_id for letter in run.system.letters()]
    topics = everything.read_topics(run.system, run.planted)
    own = {owner: {record.id for record in found} for owner, found in topics.items()}
    for owner in OWNERS:
        run.system.command(owner, "republish")

    def judge_again(findings: Findings, topics: Topics) -> None:
        everything.judge_read_models(findings, run.system, topics, run.office.admin)
        for owner, found in topics.items():
            again = applying.repeats({owner: found})
            findings.check("I5 redelivered", again >= len(own[owner]), f"{owner}: {again} repeats")
        now = [letter.message_id for letter in run.system.letters()]
        findings.check("I16 before", now[: len(before)] == before, "other mails than before")
        known = set().union(*own.values())
        notifications.check_quiet(findings, topics["notify"], now[len(before) :], known)

    findings, _ = everything.at_rest(run.system, run.planted, QUIET_SECONDS, judge_again)
    print(f"after everything was announced anew\n{findings.table()}")
    assert not findings.wrong, findings.table()


def check_poison_when_calm(run: Run) -> None:
    """Poison that comes when nothing else does is parked as well."""
    plant(run)
    wanted = {
        reader: sum(one.topic.split(".")[1] in owners for one in run.planted)
        for reader, owners in READS.items()
    }

    def all_parked() -> bool:
        found = {reader: len(poison.parked_by(run.system.owner_url(reader))) for reader in READS}
        return all(found[reader] >= count for reader, count in wanted.items())

    until("all poison parked", all_parked, poison.HEALED_WITHIN.total_seconds())


def contact_of(run: Run, person: int) -> str:
    found = run.office.admin.post("/v1/contacts/find", {"address": run.customers.address(person)})
    return str(UUID(found["contact_id"]))


def check_erasure(run: Run) -> None:
    """I14: one customer is erased; another one's words show that the judge can open what is sealed."""
    system = run.system
    person, other = contact_of(run, ERASED), contact_of(run, ERASED + 1)
    run.office.admin.post(f"/v1/contacts/{person}/erase", {})
    words = [f"canary{ERASED}.", f"customer{ERASED}@"]
    urls = {service: system.owner_url(service) for service in SERVICES}

    def gone() -> bool:
        return not any(erasure.readable_in_database(url, words) for url in urls.values())

    until("the erased words gone from every table", gone, 60)
    until("the erasure applied", lambda: quiet(system), 60)
    findings = Findings()
    topics = everything.read_topics(system, run.planted)
    people = {person: words[0], other: f"canary{ERASED + 1}."}
    everything.judge_erasure(findings, system, topics, people, words)
    folder = system.folder
    files = [*(folder / "logs").glob("*.log"), *(folder / "objects").rglob("*"), system.deployment.trace_file]
    left = erasure.readable_in_files(files, words)
    findings.check("I14 files", not left, f"{left}")
    print(findings.table())
    assert not findings.wrong, findings.table()


def check_traces(run: Run) -> None:
    """What was looked through for words was not empty."""
    lines = run.system.deployment.trace_file.read_text().splitlines()
    spans = everything.spans_of(SERVICES, [json.loads(line) for line in lines])
    print(f"spans {spans}")
    assert all(spans.values()), spans


def test_nothing_is_lost_doubled_late_or_told_twice(running: tuple[System, int]) -> None:
    system, replicas = running
    with ExitStack() as held:
        office, operators = set_up(system)
        for close in (office.close, *(operator.close for operator in operators)):
            held.callback(close)
        customers = Customers(system.smtp[1], PERSONS)
        _play_and_judge(Run(system, replicas, office, customers, operators))
    for number in range(replicas):
        system.supervisor.remove("analytics" if number == 0 else f"analytics-{number}")
    print(system.command("analytics", "rebuild"))
    for log in (system.folder / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert "canary" not in text, f"a mail's word in {log.name}"
        # The causes of parked records name fields, such as customer.
        assert not re.search(r"customer\d|client\d", text), f"an address in {log.name}"


def _play_and_judge(run: Run) -> None:
    plant(run)
    play(run)
    until("everything applied and told", lambda: quiet(run.system), QUIET_SECONDS)
    check_poison_when_calm(run)
    findings, _ = everything.at_rest(run.system, run.planted, QUIET_SECONDS, partial(judge, run))
    print(findings.table())
    assert not findings.wrong, findings.table()
    if run.replicas > 1:
        sharing.check_work_is_shared(run.system, run.replicas)
    check_same_answers(run)
    check_traces(run)
    check_erasure(run)
    check_silence(run)
