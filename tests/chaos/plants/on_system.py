"""What provokes the mistakes of timers and doors: mails and a fault, on the whole system.

All runs share one system. Each has lines of its own, and is judged by what became of the mails to these.
"""

import smtplib
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.chaos.launched import PLANT
from tests.chaos.plants.holding import held, someone_waits
from tests.chaos.plants.timing import GRACE
from tests.judging import deadlines, everything, messages, records
from tests.judging.everything import Topics
from tests.judging.records import Findings, Published
from tests.judging.waiting import until
from tests.traffic import Customers
from tests.witness import rows

from deskline_local.deployment import OWN_DOMAIN
from deskline_local.office import Office
from deskline_local.system import System

ROOT = Path(__file__).parents[3]
MAILS = 4
SECONDS = 6
"""To the first answer, after which a clock is breached; it warns at half of that."""

PATIENCE = 60.0
SOON = "state = 'armed' AND due_at < clock_timestamp() + interval '60 s'"

Judge = Callable[[Findings, Topics], None]


class Launcher:
    """Starts each service by `launched`, and with a plant where one is named."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def command(self, service: str) -> list[str]:
        return [sys.executable, "-m", "tests.chaos.launched", service]

    def environment(self, service: str, replica: int, told: dict[str, str]) -> dict[str, str]:
        told = told | {"PYTHONPATH": str(ROOT)}
        return told | {PLANT: self.planted[service]} if service in self.planted else told


@dataclass
class Company:
    """A running system, its office, and the plants in it."""

    system: System
    office: Office
    launcher: Launcher

    def plant(self, service: str, name: str | None) -> None:
        """From now on this service alone has a plant, or none has."""
        before, wanted = self.launcher.planted, {} if name is None else {service: name}
        self.launcher.planted = wanted
        changed = [one for one in {*before, *wanted} if before.get(one) != wanted.get(one)]
        for one in changed:
            self.system.supervisor.remove(one)
            self.system.start_service(one)
        self.system.wait_ready(changed)

    def url(self, service: str) -> str:
        return self.system.owner_url(service)

    def customers(self, line: str) -> Customers:
        """Of a line, each with one mail."""
        return Customers(self.system.smtp[1], MAILS, f"{line}@{OWN_DOMAIN}")


def deliver(customers: Customers) -> None:
    """All their mails, at the same time."""
    with ThreadPoolExecutor(MAILS) as pool:
        for one in [pool.submit(customers.deliver, number) for number in range(MAILS)]:
            one.result()


def of_lines(tickets: Sequence[Published], lines: Sequence[str]) -> set[str]:
    """The tickets that came by these lines."""
    opened = records.facts(tickets, "TicketOpened")
    return {event.stream for event in opened if event.data["line"]["line_id"] in lines}


def _arm_clocks(company: Company, name: str) -> tuple[str, Customers]:
    line = company.office.add_line(name)
    company.office.set_policy(line, SECONDS, actions=())
    statement = "SELECT count(DISTINCT subject) FROM deadlines"
    before = rows(company.url("sla"), statement)[0][0]
    customers = company.customers(name)
    deliver(customers)

    def armed() -> bool:
        return bool(rows(company.url("sla"), statement)[0][0] == before + MAILS)

    until("clocks armed", armed, PATIENCE)
    return line, customers


def _judged_by_clocks(company: Company, line: str) -> Judge:
    until("no step is to come", lambda: _count(company, SOON) == 0, PATIENCE)

    def judge(findings: Findings, topics: Topics) -> None:
        mine = of_lines(topics["tickets"], [line])
        findings.check("I1 accepted", len(mine) == MAILS, f"{len(mine)} tickets of {MAILS} mails")
        sla, tickets = ([one for one in topics[owner] if one.stream in mine] for owner in ("sla", "tickets"))
        deadlines.check_firings(findings, sla, tickets)
        over = deadlines.check_all_fired(findings, sla, datetime.now(UTC))
        findings.check("I6 clocks", over == MAILS, f"{over} clocks ran out")

    return judge


def _count(company: Company, condition: str) -> int:
    return int(rows(company.url("sla"), f"SELECT count(*) FROM deadlines WHERE {condition}")[0][0])


def clocks_run_out(company: Company, name: str) -> Judge:
    """Nobody answers; nothing else happens."""
    line, _ = _arm_clocks(company, name)
    return _judged_by_clocks(company, line)


def timers_stand_still(company: Company, name: str) -> Judge:
    """The process that fires is stopped from before the moments until they are long over."""
    line, _ = _arm_clocks(company, name)
    company.system.supervisor.pause("sla")
    try:
        over = f"{SOON} AND due_at > clock_timestamp() - interval '{GRACE.total_seconds() + 1} s'"
        until("the moments are over", lambda: _count(company, over) == 0, PATIENCE)
    finally:
        company.system.supervisor.resume("sla")
    return _judged_by_clocks(company, line)


def mails_share_a_message_id(company: Company, name: str) -> Judge:
    """Different mails under one Message-ID, by sender, text and line, and one of them twice."""
    lines = [name, f"{name}-too"]
    ids = [company.office.add_line(line) for line in lines]
    sent = [
        ("the first", "anna@shop.example", "Где мой заказ?", lines[0]),
        ("the first", "anna@shop.example", "Где мой заказ?", lines[0]),
        ("another text", "anna@shop.example", "Он пришёл, спасибо.", lines[0]),
        ("another sender", "boris@shop.example", "Где мой заказ?", lines[0]),
        ("another line", "anna@shop.example", "Где мой заказ?", lines[1]),
    ]
    deliveries: dict[str, set[str]] = {}
    for message, sender, text, line in sent:
        recipient = f"{line}@{OWN_DOMAIN}"
        content = _mail(sender, recipient, f"<order@{name}.example>", text)
        deliveries.setdefault(message, set()).add(_accepted(company, sender, recipient, content))

    def judge(findings: Findings, topics: Topics) -> None:
        messages.check_deliveries(findings, deliveries, topics["tickets"])
        mine = of_lines(topics["tickets"], ids)
        findings.check("I1 accepted", bool(mine), "no mail made a ticket")

    return judge


def _mail(sender: str, recipient: str, message_id: str, text: str) -> bytes:
    headers = (
        f"From: {sender}",
        f"To: {recipient}",
        "Subject: order",
        f"Message-ID: {message_id}",
        "Content-Type: text/plain; charset=utf-8",
    )
    return "\r\n".join([*headers, "", text]).encode()


def _accepted(company: Company, sender: str, recipient: str, content: bytes) -> str:
    """The id under which the door took it."""
    with smtplib.SMTP(*company.system.smtp, timeout=30) as door:
        door.ehlo()
        for code, told in (door.mail(sender), door.rcpt(recipient), door.data(content)):
            assert code == 250, told
    return told.decode().split()[-1]


def door_dies_before_a_commit(company: Company, name: str) -> Judge:
    """The door is killed when it stands before the table of mails; who was not told 250 tries again."""
    line = company.office.add_line(name)
    customers = company.customers(name)
    with ThreadPoolExecutor(1) as pool:
        with held(company.url("intake"), "raw_messages", "SHARE"):
            delivering = pool.submit(deliver, customers)
            until("the door waits", lambda: someone_waits(company.url("intake"), "raw_messages"), PATIENCE)
            company.system.supervisor.kill("intake")
        delivering.result()

    def judge(findings: Findings, topics: Topics) -> None:
        mine = of_lines(topics["tickets"], [line])
        keys = records.person_keys(
            company.system.bootstrap, everything.KEYS, company.system.key_encryption_key
        )
        effects = messages.effects_by_mail([one for one in topics["tickets"] if one.stream in mine], keys)
        messages.check_effects(findings, customers.accepted, customers.unknown, effects)

    return judge


@dataclass(frozen=True)
class Scene:
    """Which service has the plant, what provokes it on a line of this name, and what shows it."""

    service: str
    provoke: Callable[[Company, str], Judge]
    shown_by: set[str]


SCENES: Final[dict[str, Scene]] = {
    "timer_by_local_clock": Scene("sla", clocks_run_out, {"I6"}),
    "age_limit_on_timers": Scene("sla", timers_stand_still, {"I6"}),
    "dedupe_by_message_id": Scene("intake", mails_share_a_message_id, {"I1"}),
    "acknowledged_before_commit": Scene("intake", door_dies_before_a_commit, {"I1"}),
}
"""Plant → what provokes it; without a plant nothing is found by the same judges."""
