"""What happens on the system while it is operated: customers write, defects are there, one looks at it."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from functools import cached_property
from itertools import count
from typing import Any, TypeVar

import httpx
import psycopg
from tests.judging.settling import quiet

from deskline_local import client
from deskline_local.deployment import OWN_DOMAIN, SERVICES
from deskline_local.office import OLGA, Office
from deskline_local.system import System

Json = dict[str, Any]
T = TypeVar("T")
ADDRESS = f"support@{OWN_DOMAIN}"
PATIENCE = 60.0
READERS = ("tickets", "routing", "sla", "notify", "analytics")
OWNERS = ("intake", "tickets", "routing", "sla", "notify")
REFUSING = """
CREATE FUNCTION operated() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'a defect of the release'; END $$;
CREATE TRIGGER operated BEFORE INSERT ON {table} FOR EACH ROW {condition} EXECUTE FUNCTION operated();
"""


@dataclass
class Company:
    """One line, one operator who is there, and customers who write."""

    system: System
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @cached_property
    def office(self) -> Office:
        office = Office(self.system)
        office.set_team([OLGA])
        office.olga.post("/v1/presence", {"state": "online"})
        return office

    @cached_property
    def line(self) -> str:
        return self.office.add_line("support")

    def write(self, subject: str, sender: str = "anna@client.example", *, to_a_list: bool = False) -> None:
        """A mail to the line."""
        assert self.line
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"], mail["Subject"] = sender, ADDRESS, subject
        mail["Message-ID"] = f"<operated-{next(self.numbers)}@client.example>"
        if to_a_list:
            mail["List-Id"], mail["Precedence"] = "<news.client.example>", "list"
        mail.set_content("Help, please.")
        self.office.olga.mail(sender, ADDRESS, mail.as_bytes())

    def subjects(self) -> dict[str, str]:
        """Subject → ticket, as the list has them."""
        items = self.office.olga.get("/v1/tickets", limit=100)["items"]
        return {one["subject"]: one["ticket_id"] for one in items}

    def ticket_about(self, subject: str) -> str:
        """The ticket, as soon as it is listed."""
        return until(f"a ticket about «{subject}»", lambda: self.subjects().get(subject))

    def open_ticket(self, subject: str, sender: str = "anna@client.example") -> str:
        """A mail, and the ticket that it opens."""
        self.write(subject, sender)
        return self.ticket_about(subject)

    def note(self, ticket_id: str, text: str) -> None:
        """A fact that the operator alone makes."""
        self.office.olga.post(f"/v1/tickets/{ticket_id}/notes", {"text": text})

    def is_known(self, ticket_id: str) -> bool:
        """Whether tickets itself has it."""
        return bool(ask(self.system, "tickets", "SELECT 1 FROM events WHERE stream = %s", ticket_id))


def until(what: str, look: Callable[[], T | None]) -> T:
    """What is seen as soon as it is not None, on a machine that has much else to do."""
    return client.until(what, look, PATIENCE)


def settle(system: System) -> None:
    """Wait until nothing is on its way."""
    until("quiet", lambda: quiet(system) or None)


def ask(system: System, service: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the owner of a service's database is answered, in a transaction of its own."""
    with psycopg.connect(system.deployment.databases[service].owner_url) as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def parked(system: System, reader: str) -> list[tuple[Any, ...]]:
    """What a reader has parked, and why."""
    wanted = "SELECT topic, partition, record_offset, cause, since FROM parked_records"
    return ask(system, reader, wanted)


def relay_epoch(system: System, owner: str) -> int:
    """Under which epoch the owner announces."""
    return int(ask(system, owner, "SELECT epoch FROM relay")[0][0])


def figures(system: System, service: str, name: str) -> list[float]:
    """Every figure of that name that a service's first replica tells."""
    url = f"http://127.0.0.1:{system.deployment.ports[service]}/metrics"
    text = httpx.get(url, timeout=10, trust_env=False).text
    return [float(found) for found in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)]


def until_figure(system: System, service: str, name: str, wanted: float) -> None:
    """As soon as the highest figure of that name is so high, or so low."""

    def told() -> bool | None:
        return max(figures(system, service, name), default=0.0) == wanted or None

    until(f"{name} of {service} is {wanted:g}", told)


def listed(told: str) -> list[Json]:
    """What a command listed, an object a line."""
    return [json.loads(line) for line in told.splitlines()]


@contextmanager
def defect(system: System, service: str, table: str, condition: str = "") -> Iterator[None]:
    """A release that fails over what it is to write into a table."""
    ask(system, service, REFUSING.format(table=table, condition=condition))
    try:
        yield
    finally:
        ask(system, service, f"DROP TRIGGER operated ON {table}; DROP FUNCTION operated()")


def stop(system: System, services: Sequence[str] = SERVICES) -> None:
    """End services for good, the last of the row first."""
    for service in reversed(services):
        system.supervisor.remove(service)


def start(system: System, services: Sequence[str] = SERVICES) -> None:
    """Start services and wait until all of them are ready."""
    for service in services:
        system.start_service(service)
    system.wait_ready(services)
