"""What people look up while a million tickets are there: one card, a list, a search."""

import random
from typing import Any, Final

import psycopg

from bench.company import Company
from bench.load.client import Client
from bench.million.letters import WORDS, word
from deskline_local.office import FIRST_QUEUE

ASKED: Final = 400
WARM: Final = 50
Request = tuple[str, str, str, Any]


def milliseconds(company: Company, requests: list[Request]) -> list[float]:
    """Of each request, by one client, after some that only warm the caches."""
    with Client("asking", {"url": company.system.gateway_url, "requests": requests}) as client:
        taken: list[float] = client.ask()["taken"]
    return taken[WARM:]


def cards(company: Company, chance: random.Random) -> list[Request]:
    """Tickets of any age, each once."""
    with psycopg.connect(company.system.owner_url("analytics")) as connection:
        row = connection.execute("SELECT max(number) FROM open_tickets").fetchone()
        highest = 1 if row is None else int(row[0])
        numbers = [chance.randint(1, highest) for _ in range(2 * (ASKED + WARM))]
        rows = connection.execute(
            "SELECT ticket_id::text FROM open_tickets WHERE number = ANY(%s)", (numbers,)
        ).fetchall()
    token = company.office.lena.token
    found = [(token, "GET", f"/v1/tickets/{one}", None) for (one,) in rows]
    return found[: ASKED + WARM]


def lists(company: Company, chance: random.Random) -> list[Request]:
    """Pages as a console shows them: mine, my queue's, everything that is open, what was resolved."""
    people = company.people
    kinds = (
        lambda: f"assignee_id={chance.choice(people).id}&open=true",
        lambda: f"queue_id={FIRST_QUEUE}&open=true",
        lambda: "open=true",
        lambda: "stage=resolved",
        lambda: "priority=medium&open=true&limit=100",
    )
    tokens = [company.office.lena.token, *(desk.token for desk in company.desks[:4])]
    return [
        (chance.choice(tokens), "GET", f"/v1/tickets?{kinds[number % len(kinds)]()}", None)
        for number in range(ASKED + WARM)
    ]


def searches(company: Company, chance: random.Random) -> list[Request]:
    """Rare words, common ones, and both together."""

    def rare() -> str:
        return word(chance.randrange(20_000))

    kinds = (
        rare,
        lambda: f"{rare()} or {rare()}",
        lambda: f"{rare()} {chance.choice(WORDS)}",
        lambda: f"{chance.choice(WORDS)} {chance.choice(WORDS)}",
    )
    tokens = [company.office.lena.token, *(desk.token for desk in company.desks[:4])]
    return [
        (chance.choice(tokens), "POST", "/v1/tickets/search", {"text": kinds[number % len(kinds)]()})
        for number in range(ASKED + WARM)
    ]
