"""The template's tickets, made through the doors: most of them resolved, some taken and not answered yet.

Nobody answered the resolved ones either, so each ticket has a first answer that is still owed: an armed
deadline, due after a year, so that none is due however long ago a copy was opened.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from tests.judging.settling import quiet

from bench.company import Company
from bench.million.letters import Letter, letter, letters
from bench.million.template import Before, Template, taken
from bench.stages import NeverCameError, Stages
from deskline_local.deployment import OWN_DOMAIN

RESOLVED: Final = 190
OPEN: Final = 10
PEOPLE: Final = 50
LINE: Final = "archive"
POLICY: Final = "0d000000-0000-7000-8000-00000000be01"
CALENDAR: Final = "0c000000-0000-7000-8000-00000000be01"
YEAR_SECONDS: Final = 31_536_000
PATIENCE: Final = 120.0


def make(company: Company) -> Template:
    """All of it, on a system that is quiet before and after."""
    office = company.office
    _set_policy(company, office.add_line(LINE))
    address = f"{LINE}@{OWN_DOMAIN}"
    written = list(letters(RESOLVED + OPEN, PEOPLE, address))
    for desk in company.desks:
        desk.post("/v1/presence", {"state": "offline"})
    # Their company is to be there before them: it has none of its own in each copy.
    _resolve(company, [letter(RESOLVED + OPEN, "first@client.example", address)])
    until("quiet before", lambda: quiet(company.system))
    before = Before.of(company.system)
    _resolve(company, written[:RESOLVED])
    company.everybody_online()
    _take(company, written[RESOLVED:])
    until("quiet after", lambda: quiet(company.system))
    marks = tuple(mark for one in written for mark in one.marks)
    return taken(company.system, before, marks)


def until(what: str, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for it; raises NeverCameError."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise NeverCameError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)


def _deliver(company: Company, written: list[Letter]) -> list[str]:
    """The tickets' ids, once they are through all stages."""
    with Stages(company.system) as stages:
        for one in written:
            company.office.admin.mail(one.sender, f"{LINE}@{OWN_DOMAIN}", one.content)
        stages.wait(len(written), PATIENCE)
        return stages.tickets()


def _resolve(company: Company, written: list[Letter]) -> None:
    lead = company.office.lena
    resolved = {"stage": "resolved", "closing_reason": "solved"}
    for ticket in _deliver(company, written):
        lead.post(f"/v1/tickets/{ticket}/stage", resolved, match=lead.tag(ticket))


def _take(company: Company, written: list[Letter]) -> None:
    left = set(_deliver(company, written))

    def all_taken() -> bool:
        for desk in company.desks:
            for offer in desk.get("/v1/offers")["items"]:
                if offer["ticket_id"] in left:
                    desk.post(f"/v1/tickets/{offer['ticket_id']}/accept", {"offer_id": offer["offer_id"]})
                    left.discard(offer["ticket_id"])
        return not left

    until("every open ticket offered", all_taken)


def _set_policy(company: Company, line: str) -> None:
    admin = company.office.admin
    admin.put(f"/v1/calendars/{CALENDAR}", {"name": "always", "zone": "UTC", "always": True})
    breach: dict[str, Any] = {"key": "breach", "seconds": 0, "actions": [], "recipients": []}
    admin.put(
        f"/v1/policies/{POLICY}",
        {
            "name": LINE,
            "order": 1,
            "conditions": {"line_ids": [line]},
            "calendar_id": CALENDAR,
            "targets": [
                {"clock": clock, "priority": priority, "seconds": YEAR_SECONDS}
                for clock in ("first_response", "resolution")
                for priority in ("low", "medium", "high", "critical")
            ],
            "steps": {"first_response": [breach], "resolution": [breach]},
        },
    )
