"""The company of the demonstration, set up through the gateway: people, teams, queues, service levels."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from deskline_local.client import Desk, until
from deskline_local.deployment import OWN_DOMAIN
from deskline_local.errors import StackError
from deskline_local.site import Site

FIRST_TEAM: Final = "0a000000-0000-7000-8000-000000000001"
SECOND_TEAM: Final = "0a000000-0000-7000-8000-000000000002"
FIRST_QUEUE: Final = "0b000000-0000-7000-8000-000000000001"
SECOND_QUEUE: Final = "0b000000-0000-7000-8000-000000000002"
CALENDAR: Final = "0c000000-0000-7000-8000-000000000001"
IMPATIENT: Final = "0d000000-0000-7000-8000-000000000001"
MINUTES: Final = 60
HOURS: Final = 3600


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works here; `id` is both their operator's id and their tokens' actor."""

    name: str
    id: str
    roles: tuple[str, ...]
    team: str | None = None
    language: str = "ru"

    @property
    def address(self) -> str:
        """Where they are told."""
        return f"{self.id[-4:]}-{self.roles[0]}@staff.{OWN_DOMAIN}"


OLGA: Final = Person("Ольга", "0e000000-0000-7000-8000-00000000a001", ("operator",), FIRST_TEAM)
LENA: Final = Person("Лена", "0e000000-0000-7000-8000-00000000a002", ("lead",), FIRST_TEAM)
OLEG: Final = Person("Oleg", "0e000000-0000-7000-8000-00000000a003", ("operator",), SECOND_TEAM, "en")
ADMIN: Final = Person("Admin", "0e000000-0000-7000-8000-00000000a004", ("admin",))
STAFF: Final = (OLGA, LENA, OLEG)


class Office:
    """Everybody's place at the gateway; `close` hangs up for all."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.lines: dict[str, str] = {}
        self.admin, self.olga, self.lena, self.oleg = self.desks([ADMIN, *STAFF])

    def desk(self, person: Person) -> Desk:
        """A person's place, with a token of their own."""
        roles = [word for role in person.roles for word in ("--role", role)]
        printed = self._site.command("gateway", "token", "create", *roles, "--actor", person.id)
        return Desk(self._site.gateway_url, self._site.smtp, token_in(printed))

    def desks(self, people: Sequence[Person]) -> list[Desk]:
        """Places for several; a command of a service takes a second to begin, so they begin together."""
        with ThreadPoolExecutor(len(people)) as pool:
            return list(pool.map(self.desk, people))

    def close(self) -> None:
        """Hang up."""
        for desk in (self.admin, self.olga, self.lena, self.oleg):
            desk.close()

    def add_line(self, name: str, language: str = "ru") -> str:
        """Customers may write to `name` at our domain; the line's id, also where it is there already."""
        address = f"{name}@{OWN_DOMAIN}"
        known = [one for one in self.admin.get("/v1/lines")["items"] if one["address"] == address]
        if known:
            self.lines[name] = str(known[0]["line_id"])
        else:
            arguments = ("line", "add", "--address", address, "--name", name, "--language", language)
            self.lines[name] = self._site.command("intake", *arguments).strip()
        return self.lines[name]

    def open(self) -> None:
        """Teams, people and queues of two levels, and a policy of a few seconds for the line `vip`."""
        with ThreadPoolExecutor(2) as pool:
            _, vip = pool.map(self.add_line, ("support", "vip"))
        for team, name, lead in ((FIRST_TEAM, "first line", LENA), (SECOND_TEAM, "second line", None)):
            self.admin.put(f"/v1/teams/{team}", {"name": name, "lead_ids": [] if lead is None else [lead.id]})
        for person in STAFF:
            self.admin.put(f"/v1/operators/{person.id}", _operator(person))
        for order, (queue, name, team) in enumerate(
            ((FIRST_QUEUE, "first line", FIRST_TEAM), (SECOND_QUEUE, "second line", SECOND_TEAM)), start=1
        ):
            self.admin.put(f"/v1/queues/{queue}", _queue(name, team, order))
        self.set_policy(vip, 3)
        self.everybody_online()

    def set_team(
        self,
        people: list[Person],
        team: str = FIRST_TEAM,
        queue: str = FIRST_QUEUE,
        conditions: dict[str, Any] | None = None,
    ) -> None:
        """One team with one queue, for every ticket or for those of these conditions."""
        self.admin.put(f"/v1/teams/{team}", {"name": "all", "lead_ids": [LENA.id]})
        for person in (*people, LENA):
            self.admin.put(f"/v1/operators/{person.id}", _operator(person))
        order = 1 if conditions is None else 0
        self.admin.put(
            f"/v1/queues/{queue}", _queue("all", team, 1) | {"order": order, "conditions": conditions or {}}
        )

    def set_policy(self, line: str, seconds: int, actions: tuple[str, ...] = ("escalate",)) -> None:
        """So many seconds to the first answer on a line; unanswered, these actions follow."""
        self.admin.put(f"/v1/calendars/{CALENDAR}", {"name": "always", "zone": "UTC", "always": True})
        self.admin.put(f"/v1/policies/{IMPATIENT}", _impatient(line, seconds, actions))

    def everybody_online(self) -> None:
        """The operators' heartbeat; leads answer nobody here."""
        for desk in (self.olga, self.oleg):
            desk.post("/v1/presence", {"state": "online"})

    def wait_for_offer(self, desk: Desk, ticket_id: str) -> dict[str, Any]:
        """The offer of a ticket to somebody, as soon as the ticket shows it."""

        def offered() -> dict[str, Any] | None:
            offers: list[dict[str, Any]] = desk.get("/v1/offers")["items"]
            shown = desk.get(f"/v1/tickets/{ticket_id}")["offer"]
            known = {} if shown is None else {"offer_id": shown["offer_id"], "ticket_id": ticket_id}
            # The ticket says that it is offered, and the operator's list that it is to them.
            return next((one for one in offers if known and known.items() <= one.items()), None)

        return until(f"an offer of {ticket_id}", offered)


def token_in(printed: str) -> str:
    """The token in what `token create` printed."""
    found = [word for word in printed.split() if word.startswith("dsk_")]
    if len(found) != 1:
        raise StackError("`token create` printed no token")
    return found[0]


def _operator(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "address": person.address,
        "language": person.language,
        "employed": True,
        "team_ids": [] if person.team is None or "lead" in person.roles else [person.team],
        "skills": [],
        "capacity": 10_000,
    }


def _queue(name: str, team: str, level: int) -> dict[str, Any]:
    return {
        "name": name,
        "team_id": team,
        "order": level,
        "conditions": {"levels": [level]},
        "accept_seconds": 30 * MINUTES,
    }


def _impatient(line: str, first_response: int, actions: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": "impatient",
        "order": 0,
        "conditions": {"line_ids": [str(UUID(line))]},
        "calendar_id": CALENDAR,
        "targets": [
            {"clock": clock, "priority": priority, "seconds": seconds}
            for clock, seconds in (("first_response", first_response), ("resolution", 8 * HOURS))
            for priority in ("low", "medium", "high", "critical")
        ],
        "steps": {
            "first_response": [
                {"key": "warn", "percent": 50, "actions": [], "recipients": ["assignee", "team_lead"]},
                {"key": "breach", "seconds": 0, "actions": list(actions), "recipients": ["team_lead"]},
            ],
            "resolution": [],
        },
    }
