"""How long a ticket takes from the door to an operator's offer, at a load that leaves room."""

import time
from typing import Final

import psycopg

from bench.company import Company
from bench.load.client import Client
from bench.stages import NeverCameError, Stages

PATIENCE: Final = 60.0


def percentile(values: list[float], share: float) -> float:
    """Of any numbers, the one that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def door_to_offered(company: Company, number: int, rate: float) -> list[float]:
    """Milliseconds from the first byte of each form until a subscriber saw its ticket offered."""
    with (
        Client("watcher", {"bootstrap": company.system.bootstrap}) as watcher,
        company.forms(number, rate=rate) as client,
        Stages(company.system) as stages,
    ):
        client.say("go")
        sent: dict[str, float] = client.answer()["sent"]
        stages.wait(number, PATIENCE, ("projected",))
        url = company.system.owner_url("analytics")
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT ticket_id::text, subject FROM open_tickets WHERE number > %s", (stages.first_number,)
            ).fetchall()
        deadline = time.monotonic() + PATIENCE
        while True:
            seen: dict[str, float] = watcher.ask()["seen"]
            taken = [1000 * (seen[one] - sent[subject]) for one, subject in rows if one in seen]
            if len(taken) >= number:
                return taken
            if time.monotonic() > deadline:
                raise NeverCameError(f"{number - len(taken)} of {number} tickets were never seen offered")
            time.sleep(0.2)
