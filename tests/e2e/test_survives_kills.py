"""500 mails over parallel connections while every service is killed: nothing lost, nothing twice."""

import random
import smtplib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import psycopg
import pytest
from tests.e2e import checker

from deskline_local.deployment import OWN_DOMAIN, SERVICES
from deskline_local.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

MAILS = 500
CONNECTIONS = 8
KILLS_EACH = 2
QUIET_SECONDS = 120.0


def until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@dataclass
class Customers:
    """Mail clients that record how each delivery ended: accepted, refused, or unknown."""

    port: int
    accepted: dict[str, int] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def reached(self, goal: int) -> bool:
        return len(self.accepted) >= goal

    def mail(self, number: int) -> tuple[str, str, bytes]:
        thread = number % 100
        address = f"customer{thread}@client{thread % 10}.example"
        message_id = f"<{number}@client{thread % 10}.example>"
        lines = [
            f"From: Customer {thread} <{address}>",
            f"To: support@{OWN_DOMAIN}",
            f"Subject: Problem {thread}",
            f"Message-ID: {message_id}",
            "Content-Type: text/plain; charset=utf-8",
        ]
        if number >= 100:
            lines.append(f"References: <{thread}@client{thread % 10}.example>")
        return message_id, address, "\r\n".join([*lines, "", f"Сообщение {number}, canary{number}."]).encode()

    def deliver(self, number: int) -> None:
        """Try until it is accepted, as mail servers do; every tenth mail is delivered twice."""
        for _ in range(2 if number % 10 == 0 else 1):
            until(f"mail {number} accepted", lambda: self._attempt(number), 120)

    def _attempt(self, number: int) -> bool:
        message_id, address, content = self.mail(number)
        sent = False
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as door:
                door.ehlo_or_helo_if_needed()
                refused = [door.mail(address)[0], door.rcpt(f"support@{OWN_DOMAIN}")[0]]
                if refused != [250, 250]:
                    assert all(code == 250 or 400 <= code < 500 for code in refused), refused
                    return False
                sent = True
                code, _ = door.data(content)
        except (smtplib.SMTPException, OSError):
            with self.guard:
                if sent:
                    self.unknown.add(message_id)
            return False
        with self.guard:
            if code == 250:
                self.accepted[message_id] = self.accepted.get(message_id, 0) + 1
        return code == 250


def _alive(system: System, service: str) -> bool:
    return system.supervisor.pid(service) is not None


def _restarted(system: System, service: str) -> bool:
    return system.supervisor.restarts(service) >= KILLS_EACH


def kill_everything(system: System, customers: Customers, seed: int) -> dict[str, int]:
    """Kill each service at least twice, spread over the deliveries."""
    chance = random.Random(seed)
    plan = [service for service in SERVICES for _ in range(KILLS_EACH)]
    chance.shuffle(plan)
    kills = dict.fromkeys(SERVICES, 0)
    for done, service in enumerate(plan, start=1):
        goal = MAILS * done // (len(plan) + 1)
        until(f"{goal} mails accepted", partial(customers.reached, goal), 180)
        until(f"{service} alive", partial(_alive, system, service), 30)
        system.supervisor.kill(service)
        kills[service] += 1
    return kills


def quiet(system: System) -> bool:
    """Whether everything accepted was parsed, relayed and applied."""
    databases = system.deployment.databases
    with psycopg.connect(databases["intake"].owner_url) as intake:
        waiting = intake.execute("SELECT count(*) FROM raw_messages WHERE state = 'received'").fetchone()
    if waiting != (0,):
        return False
    for owner in ("intake", "tickets"):
        with psycopg.connect(databases[owner].owner_url) as connection:
            behind = connection.execute(
                "SELECT (SELECT coalesce(max(id), 0) FROM events) - position FROM relay"
            ).fetchone()
        if behind != (0,):
            return False
    return applied(system, "tickets", "intake") and applied(system, "analytics", "tickets", "intake")


def applied(system: System, reader: str, *owners: str) -> bool:
    databases = system.deployment.databases
    with psycopg.connect(databases[reader].owner_url) as connection:
        known = {
            (owner, subject): sequence
            for owner, subject, sequence in connection.execute(
                "SELECT owner, subject, sequence FROM reader_streams"
            ).fetchall()
        }
    for owner in owners:
        with psycopg.connect(databases[owner].owner_url) as connection:
            written = connection.execute(
                "SELECT stream, max(sequence) FROM events GROUP BY stream"
            ).fetchall()
        if any(known.get((owner, stream)) != last for stream, last in written):
            return False
    return True


def test_every_accepted_mail_has_exactly_one_effect(system: System) -> None:
    system.command(
        "intake", "line", "add", "--address", f"support@{OWN_DOMAIN}", "--name", "support", "--language", "ru"
    )
    customers = Customers(system.deployment.ports["smtp"])
    with ThreadPoolExecutor(CONNECTIONS + 1) as pool:
        killing = pool.submit(kill_everything, system, customers, seed=20261121)
        delivering = [pool.submit(customers.deliver, number) for number in range(MAILS)]
        for one in delivering:
            one.result()
        kills = killing.result()
    assert min(kills.values()) >= KILLS_EACH
    for service in SERVICES:
        until(f"{service} restarted", partial(_restarted, system, service), 30)
    until("everything applied", lambda: quiet(system), QUIET_SECONDS)

    bootstrap = system.stack.bootstrap
    findings = checker.Findings()
    keys = checker.person_keys(
        bootstrap,
        "deskline.intake.keys",
        system.deployment.environment("intake")["DESKLINE_KEY_ENCRYPTION_KEY"],
    )
    for owner in ("intake", "tickets"):
        records = checker.published(bootstrap, f"deskline.{owner}.events")
        checker.check_order(findings, records)
        checker.check_store(findings, records, system.deployment.databases[owner].owner_url)
        for record in records:
            headers = " ".join(record.headers.values())
            findings.check("headers", "client" not in headers and "canary" not in headers, record.id)
    effects = checker.effects_by_mail(records, keys)
    checker.check_effects(findings, customers.accepted, customers.unknown, effects)
    print(
        f"\n{len(customers.accepted)} mails accepted, {sum(customers.accepted.values())} deliveries, "
        f"{len(customers.unknown)} of unknown fate on the way, kills {kills}"
    )
    print(findings.table())
    assert len(customers.accepted) == MAILS
    assert not findings.wrong, findings.table()
    assert sum(1 for events in effects.values() for e in events if e.type.endswith("TicketOpened.v1")) >= 100

    system.supervisor.remove("analytics")
    told = system.command("analytics", "rebuild")
    print(told)
    for log in (system.folder / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert "canary" not in text, f"a mail's word in {log.name}"
        assert "customer" not in text, f"an address in {log.name}"
