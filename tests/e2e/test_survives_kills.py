"""Mails and commands while every service is killed, alone and with two replicas each: all promises hold."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from tests.e2e.judging import commands, deadlines, erasure, messages, notifications, offers, records, sharing
from tests.e2e.judging.records import Findings, Published
from tests.e2e.settling import OWNERS, quiet
from tests.e2e.traffic import Customers, Operator, until

from deskline_local.deployment import SERVICES, Doors
from deskline_local.office import FIRST_TEAM, Office, Person
from deskline_local.system import System

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

MAILS = 500
PERSONS = 100
COMMANDS = 100
CONNECTIONS = 8
OPERATORS = 4
KILLS_EACH = 2
QUIET_SECONDS = 150.0
IMPATIENT_SECONDS = 6
ERASED = 7


@dataclass
class Run:
    """What happened."""

    system: System
    replicas: int
    customers: Customers
    operators: list[Operator]
    kills: dict[str, int]

    @property
    def processes(self) -> list[str]:
        return [
            service if number == 0 else f"{service}-{number}"
            for number in range(self.replicas)
            for service in SERVICES
        ]


@pytest.fixture(params=[1, 2], ids=["one replica", "two replicas"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[System, int]]:
    system = System(tmp_path / "system", Doors.anywhere(), trace_sample=0.0)
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
    return office, [Operator(office.admin.url, desk.token) for desk in office.desks(people())]


def kill_everything(run: Run, seed: int) -> None:
    """Kill each process at least twice, spread over the deliveries."""
    chance = random.Random(seed)
    plan = [process for process in run.processes for _ in range(KILLS_EACH)]
    chance.shuffle(plan)
    for done, process in enumerate(plan, start=1):
        goal = MAILS * done // (len(plan) + 1)
        until(f"{goal} mails accepted", partial(run.customers.reached, goal), 240)
        until(f"{process} alive", lambda process=process: run.system.supervisor.pid(process) is not None, 30)  # type: ignore[misc]
        run.system.supervisor.kill(process)
        run.kills[process] = run.kills.get(process, 0) + 1


def work(run: Run, ended: threading.Event) -> None:
    """The operators' shift: at least so many commands, and for as long as mails come."""

    def shift(operator: Operator) -> None:
        while not ended.is_set() or sum(len(one.given) for one in run.operators) < COMMANDS:
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


def published(system: System) -> dict[str, list[Published]]:
    return {owner: records.published(system.stack.bootstrap, f"deskline.{owner}.events") for owner in OWNERS}


def judge(run: Run, topics: dict[str, list[Published]]) -> tuple[Findings, str]:
    findings, system = Findings(), run.system
    kek = system.deployment.environment("intake")["DESKLINE_KEY_ENCRYPTION_KEY"]
    keys = records.person_keys(system.stack.bootstrap, "deskline.intake.keys", kek)
    for owner, found in topics.items():
        records.check_order(findings, found)
        records.check_store(findings, found, system.deployment.databases[owner].owner_url)
        for record in found:
            headers = " ".join(record.headers.values())
            findings.check("headers", "client" not in headers and "canary" not in headers, record.id)
    effects = messages.effects_by_mail(topics["tickets"], keys)
    messages.check_effects(findings, run.customers.accepted, run.customers.unknown, effects)
    given = [one for operator in run.operators for one in operator.given]
    commands.check_commands(findings, given, topics["tickets"])
    late = deadlines.check_firings(findings, topics["sla"], topics["tickets"])
    over = deadlines.check_all_fired(findings, topics["sla"], datetime.now(UTC))
    killed = sum(count for process, count in run.kills.items() if process.startswith("notify"))
    notifications.check_notifications(
        findings, topics["notify"], topics["tickets"], system.mailbox.letters(), repeats=killed * 32
    )
    shares = offers.check_offers(findings, topics["tickets"])
    offers.check_routed(findings, topics["tickets"])
    done = sum(one.status < 300 for one in given)
    told = (
        f"{len(run.customers.accepted)} mails accepted, {sum(run.customers.accepted.values())} deliveries,"
        f" {len(run.customers.unknown)} of unknown fate; {len(given)} commands, {done} done,"
        f" {sum(one.unknown for one in run.operators)} asked again; {len(late)} steps fired,"
        f" {over} clocks over, late at most {max(late, default=0):.1f} s;"
        f" {len(system.mailbox.letters())} mails sent; offers {sorted(shares.values())}; kills {run.kills}"
    )
    assert len(run.customers.accepted) == MAILS
    assert done >= COMMANDS
    assert late, "no step fired"
    return findings, told


def check_same_answers(run: Run) -> None:
    """I2: the same Idempotency-Key gives the same answer, after everything."""
    for operator in run.operators:
        for one in [given for given in operator.given if given.status < 300][:10]:
            assert operator.again(one) == (one.status, one.answer), one


def check_silence(run: Run) -> None:
    """I16: announced anew, applied anew, rebuilt: nobody is told again."""
    before = [letter.message_id for letter in run.system.mailbox.letters()]
    for owner in OWNERS:
        run.system.command(owner, "republish")
    until("everything announced anew and applied", lambda: quiet(run.system), QUIET_SECONDS)
    assert [letter.message_id for letter in run.system.mailbox.letters()] == before


def check_poison(run: Run) -> None:
    """I9: what can't be read was parked, and it alone."""
    for reader in ("tickets", "analytics", "notify"):
        with psycopg.connect(run.system.deployment.databases[reader].owner_url) as connection:
            parked = connection.execute("SELECT subject, value FROM parked_records").fetchall()
        assert [(subject, bytes(value or b"")) for subject, value in parked] == [(None, sharing.POISON)], (
            reader
        )


def erase(run: Run, office: Office) -> list[str]:
    """Erase one customer; the words of theirs that nobody may read any more."""
    address = run.customers.address(ERASED)
    found = office.admin.post("/v1/contacts/find", {"address": address})
    contact = str(UUID(found["contact_id"]))
    office.admin.post(f"/v1/contacts/{contact}/erase", {})
    return [f"canary{ERASED}.", f"customer{ERASED}@"]


def check_erased(run: Run, words: list[str]) -> None:
    """I14: in no table, object, log or trace."""
    system = run.system

    def gone() -> bool:
        return not any(
            erasure.readable_in_database(system.deployment.databases[service].owner_url, words)
            for service in SERVICES
        )

    until("the erased words gone from every table", gone, 60)
    folder = system.folder
    files = [*(folder / "logs").glob("*.log"), *(folder / "objects").rglob("*"), system.deployment.trace_file]
    assert erasure.readable_in_files(files, words) == []
    for owner, found in published(system).items():
        assert not [one.id for one in found if any(word.encode() in one.value for word in words)], owner


def test_nothing_is_lost_doubled_late_or_told_twice(running: tuple[System, int]) -> None:
    system, replicas = running
    with ExitStack() as held:
        office, operators = set_up(system)
        for close in (office.close, *(operator.close for operator in operators)):
            held.callback(close)
        run = Run(system, replicas, Customers(system.deployment.ports["smtp"], PERSONS), operators, {})
        _play_and_judge(run, office)
    for number in range(replicas):
        system.supervisor.remove("analytics" if number == 0 else f"analytics-{number}")
    print(system.command("analytics", "rebuild"))
    for log in (system.folder / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert "canary" not in text, f"a mail's word in {log.name}"
        assert "customer" not in text, f"an address in {log.name}"


def _play_and_judge(run: Run, office: Office) -> None:
    system = run.system
    sharing.poison(system.stack.bootstrap, "deskline.intake.events")
    play(run)
    until("everything applied and told", lambda: quiet(system), QUIET_SECONDS)
    topics = published(system)
    findings, told = judge(run, {**topics, "intake": sharing.without_poison(topics["intake"])})
    print(f"\n{told}\n{findings.table()}")
    assert not findings.wrong, findings.table()
    check_poison(run)
    if run.replicas > 1:
        sharing.check_work_is_shared(system, run.replicas)
    check_same_answers(run)
    check_erased(run, erase(run, office))
    check_silence(run)
