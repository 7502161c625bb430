"""A company with so many tickets: made once in a folder that lasts, and grown from there."""

import json
import multiprocessing
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import psycopg

from bench.company import Company
from bench.million import announcing
from bench.million.loading import Loaded, Plan, load
from bench.million.making import make
from bench.million.names import NameMaker
from bench.million.template import OWNERS, Template

# The largest first, so that none is left over at the end.
ORDER: Final = ("tickets", "analytics", "intake", "sla", "notify", "routing")
AT_A_TIME: Final = 2
assert set(ORDER) == set(OWNERS)


class World:
    """What is known of the tickets of a company's folder."""

    def __init__(self, company: Company, say: Callable[[str], None]) -> None:
        self._company = company
        self._say = say
        folder = company.system.folder
        self._template_file = folder / "template.pickle"
        self._copies_file = folder / "copies.json"
        self._template: Template | None = None

    @property
    def copies(self) -> int:
        """How many copies of the template are there."""
        if not self._copies_file.exists():
            return 0
        return int(json.loads(self._copies_file.read_text(encoding="utf-8")))

    @property
    def template(self) -> Template:
        """Made where it is missing."""
        if self._template is None:
            if not self._template_file.exists():
                started = time.monotonic()
                self._template_file.write_bytes(pickle.dumps(make(self._company)))
                self._say(f"template made ({time.monotonic() - started:.0f} s)")
            self._template = pickle.loads(self._template_file.read_bytes())
        return self._template

    @property
    def tickets(self) -> int:
        """How many tickets were loaded."""
        return self.copies * self.template.tickets

    def grow(self, tickets: int) -> float:
        """Load until there are so many; seconds that it took, with services stopped and started again."""
        template = self.template
        count = round(tickets / template.tickets) - self.copies
        if count <= 0:
            return 0.0
        system, started = self._company.system, time.monotonic()
        announcing.stop_services(system)
        plan = Plan(self._first(), count)
        self._load_all(plan)
        self._copies_file.write_text(json.dumps(self.copies + count), encoding="utf-8")
        announcing.announce(system, self._say)
        announcing.place_readers(system)
        taken = time.monotonic() - started
        self._say(f"{count * template.tickets:,} tickets loaded ({taken:.0f} s); {_size(system.folder)}")
        announcing.start_services(system)
        self._company.everybody_online()
        return taken

    def _first(self) -> int:
        """The number of a copy that takes nothing from what came through the doors meanwhile."""
        number = self._highest("tickets", "SELECT max(number) FROM tickets_index")
        return NameMaker(self.template).first_behind(
            number, self._highest("intake", "SELECT max(change_id) FROM person_keys")
        )

    def _highest(self, owner: str, statement: str) -> int:
        with psycopg.connect(self._company.system.owner_url(owner)) as connection:
            row = connection.execute(statement.encode()).fetchone()
        return 0 if row is None else int(row[0])

    def _load_all(self, plan: Plan) -> None:
        system = self._company.system
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(AT_A_TIME, mp_context=context) as pool:
            running = [
                pool.submit(load, owner, system.owner_url(owner), self.template, plan) for owner in ORDER
            ]
            for done in running:
                loaded: Loaded = done.result()
                self._say(str(loaded))


def _size(folder: Path) -> str:
    """How much disk it takes, server by server."""

    def of(path: Path) -> float:
        # Blocks, for the broker's indexes are files with holes.
        return sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file()) / 1e9

    return ", ".join(f"{name} {of(folder / 'stack' / name):.1f} GB" for name in ("kafka", "postgres"))
