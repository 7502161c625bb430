"""Time over several services: what was committed in time is no breach, and a conversation keeps its offer."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from tests.judging.records import Published, facts, published

from deskline_local.client import until
from deskline_local.deployment import OWN_DOMAIN
from deskline_local.office import OLGA, Office
from deskline_local.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SECONDS = 8
AFTER_DUE = 4.0
LINES = 50


def mail(number: int, *, first: int) -> bytes:
    content = EmailMessage(policy=SMTP)
    content["From"] = "chatty@client.example"
    content["To"] = f"support@{OWN_DOMAIN}"
    content["Subject"] = "quick"
    content["Message-ID"] = f"<line-{number}@client.example>"
    if number != first:
        content["References"] = f"<line-{first}@client.example>"
    content.set_content(f"line {number}")
    return content.as_bytes()


@pytest.fixture
def office(system: System) -> Iterator[Office]:
    office = Office(system)
    office.set_team([OLGA])
    office.olga.post("/v1/presence", {"state": "online"})
    yield office
    office.close()


def ticket_of(office: Office, line: str) -> dict[str, Any]:
    def opened() -> dict[str, Any] | None:
        items: list[dict[str, Any]] = office.olga.get("/v1/tickets", line_id=line)["items"]
        return items[0] if items else None

    return until("the ticket", opened)


def said(system: System, owner: str, ticket_id: str, *names: str) -> list[Published]:
    found = published(system.stack.bootstrap, f"deskline.{owner}.events")
    return [event for event in facts(found, *names) if event.stream == ticket_id]


def test_reply_committed_in_time_and_relayed_after_due_is_no_breach(system: System, office: Office) -> None:
    """The relay of tickets stands still from before the reply until after the clock's due moment."""
    system.supervisor.remove("tickets")
    system.start_service("tickets", 0, only="consumer")
    system.start_service("tickets", 1, only="relay")
    system.wait_ready()
    line = office.add_line("support")
    office.set_policy(line, SECONDS, actions=())
    for sender in ("answered", "silent"):
        content = mail(1 if sender == "answered" else 2, first=1 if sender == "answered" else 2)
        office.olga.mail(f"{sender}@client.example", f"support@{OWN_DOMAIN}", content)

    def both() -> list[dict[str, Any]] | None:
        items: list[dict[str, Any]] = office.olga.get("/v1/tickets", line_id=line)["items"]
        return items if len(items) == 2 else None

    answered, silent = (
        one["ticket_id"] for one in sorted(until("two tickets", both), key=lambda t: t["number"])
    )

    def running(ticket_id: str) -> dict[str, Any] | None:
        clocks = office.olga.get(f"/v1/tickets/{ticket_id}/clocks")["clocks"]
        return next((one for one in clocks if one["clock"] == "first_response"), None)

    due = [
        datetime.fromisoformat(until("the clock", lambda one=one: running(one))["due_at"])  # type: ignore[misc]
        for one in (answered, silent)
    ]
    system.supervisor.pause("tickets-1")
    office.olga.post(f"/v1/tickets/{answered}/replies", {"text": "Сейчас.", "seen_version": 1})
    assert datetime.now(UTC) < min(due), "the reply came too late for this test: raise SECONDS"
    over = max(due).timestamp() + AFTER_DUE
    until("the due moments are over", lambda: time.time() > over or None, SECONDS + 30)
    for ticket_id in (answered, silent):
        assert said(system, "sla", ticket_id, "SlaBreached") == [], "a breach without a watermark past due"
    system.supervisor.resume("tickets-1")

    def met() -> list[Published] | None:
        return said(system, "sla", answered, "ClockMet") or None

    (clock,) = until("the clock met", met)
    assert clock.data["breached"] is False
    until("the silent one breached", lambda: said(system, "sla", silent, "SlaBreached") or None)
    assert said(system, "sla", answered, "SlaBreached") == []


def test_offer_holds_through_a_conversation_of_50_lines(system: System, office: Office) -> None:
    line = office.add_line("support")
    office.olga.mail("chatty@client.example", f"support@{OWN_DOMAIN}", mail(1, first=1))
    ticket = ticket_of(office, line)["ticket_id"]
    offer = office.wait_for_offer(office.olga, ticket)
    for number in range(2, LINES + 1):
        office.olga.mail("chatty@client.example", f"support@{OWN_DOMAIN}", mail(number, first=1))

    def all_said() -> dict[str, Any] | None:
        card: dict[str, Any] = office.olga.get(f"/v1/tickets/{ticket}")
        return card if len(card["messages"]) == LINES else None

    card = until(f"{LINES} messages", all_said)
    assert card["offer"]["offer_id"] == offer["offer_id"]
    assert card["assignment_no"] == 0
    answer = office.olga.post(f"/v1/tickets/{ticket}/accept", {"offer_id": offer["offer_id"]})
    assert (answer["stage"], answer["assignee_id"]) == ("in_progress", OLGA.id)
    assert len(said(system, "tickets", ticket, "TicketOffered")) == 1
    assert said(system, "tickets", ticket, "OfferEnded", "DecisionRefused") == []
