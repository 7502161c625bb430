"""The running system as the end-to-end tests see it: who serves, is it well, and what became of a mail."""

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from deskline_local.client import Desk, until
from deskline_local.deployment import OWN_DOMAIN, SERVICES
from deskline_local.office import token_in
from deskline_local.system import System

Json = dict[str, Any]
PATIENCE = 60.0


@dataclass(frozen=True)
class Refused:
    """What the mail door answered instead of 250."""

    code: int
    reason: str


@dataclass(frozen=True)
class Scene:
    """A system with what a test needs to act on it and to look at it."""

    system: System

    @cached_property
    def desk(self) -> Desk:
        """An operator's client."""
        return Desk(self.system.gateway_url, self.system.smtp, self.token("operator"))

    @property
    def smtp_port(self) -> int:
        return self.system.deployment.ports["smtp"]

    @property
    def bootstrap(self) -> str:
        return self.system.stack.bootstrap

    def token(self, role: str) -> str:
        return token_in(self.system.command("gateway", "token", "create", "--role", role))

    def add_line(self, name: str) -> str:
        """A line's id; its address is `name` at our domain."""
        address = f"{name}@{OWN_DOMAIN}"
        told = self.system.command("intake", "line", "add", "--address", address, "--name", name)
        return told.strip()

    def deliver(self, sender: str, recipient: str, content: bytes) -> str | Refused:
        """The id under which a mail was accepted, or why it was not."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=60) as door:
            door.ehlo_or_helo_if_needed()
            code, told = door.mail(sender)
            if code == 250:
                code, told = door.rcpt(recipient)
            if code == 250:
                code, told = door.data(content)
            return told.decode().split()[-1] if code == 250 else Refused(code, told.decode())

    def tickets(self, line_id: str) -> list[Json]:
        """Every ticket of a line, as the list has it."""
        page = self.desk.get("/v1/tickets", line_id=line_id, limit=100)
        items: list[Json] = page["items"]
        while page["next_cursor"] is not None:
            page = self.desk.get("/v1/tickets", line_id=line_id, limit=100, cursor=page["next_cursor"])
            items += page["items"]
        return items

    def opened_by(self, line_id: str, raw_ids: set[str]) -> dict[str, str]:
        """Accepted mail → the ticket that it opened, as soon as the list has them all."""
        found: dict[str, str] = {}
        known: set[str] = set()

        def all_there() -> dict[str, str] | None:
            for ticket_id in {ticket["ticket_id"] for ticket in self.tickets(line_id)} - known:
                known.add(ticket_id)
                first = self.desk.get(f"/v1/tickets/{ticket_id}/history", version=1)["events"][0]
                found[first["cause"]["correlation_id"]] = ticket_id
            return found if raw_ids <= set(found) else None

        return until(f"{len(raw_ids)} tickets", all_there, PATIENCE)

    def pids(self) -> dict[str, int | None]:
        return {service: self.system.supervisor.pid(service) for service in SERVICES}

    def assert_ready(self) -> None:
        for service in SERVICES:
            answer = httpx.get(f"http://127.0.0.1:{self.system.deployment.ports[service]}/readyz", timeout=10)
            assert answer.status_code == 200, f"{service}: {answer.text}"

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Whatever happens inside: every service is ready afterwards and none was started anew."""
        before = self.pids()
        yield
        self.assert_ready()
        assert self.pids() == before
        assert None not in before.values()
        assert {service: self.system.supervisor.restarts(service) for service in SERVICES} == dict.fromkeys(
            SERVICES, 0
        )
