"""The measurements, group by group: what runs together shares a system."""

import os
import statistics
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import psycopg

from bench import flow, latency, memory, profiling
from bench.chassis.rates import chassis
from bench.company import Company, running
from bench.flow import Door, Flow
from bench.load.client import Client

RUNS: Final = int(os.environ.get("RUNS", "5"))
MAILS: Final = int(os.environ.get("MAILS", "1500"))
COMMANDS: Final = int(os.environ.get("COMMANDS", "1600"))
CALM_SECONDS: Final = 20
WARM: Final = 300
CLIENTS: Final = 16

Say = Callable[[str], None]
DOORS: Final[dict[Door, tuple[str, ...]]] = {"mails": ("cpu", "mails"), "forms": ("forms", "forms-cpu")}
OFFERED: Final = ("offered", "offered-p50")
ONE, MANY = ("command",), ("commands", "commands-p99")
MEMORY: Final = ("memory", "memory-slope")


class Figures:
    """What was measured so far, by row, and what is to be said about it."""

    def __init__(self, wanted: Iterable[str], say: Say) -> None:
        self.wanted = frozenset(wanted)
        self.say = say
        self.values: dict[str, list[float]] = {}
        self.notes: dict[str, list[str]] = {}

    def wants(self, *names: str) -> bool:
        """Whether one of these rows was asked for."""
        return not self.wanted.isdisjoint(names)

    def note(self, name: str, value: float) -> None:
        """One more run of a row."""
        self.values.setdefault(name, []).append(value)

    def tell(self, name: str, note: str) -> None:
        """What stands behind a row."""
        self.notes.setdefault(name, []).append(note)


def through_door(company: Company, figures: Figures, door: Door) -> list[Flow]:
    """Rates and processor time from one door, run by run."""
    flow.measure(company, door, WARM)
    found = []
    for run in range(RUNS):
        company.everybody_online()
        found.append(flow.measure(company, door, MAILS))
        figures.say(f"{door}, run {run + 1} of {RUNS}, {MAILS} each: {found[-1]}")
    return found


def doors(company: Company, figures: Figures) -> None:
    """Rows of both doors."""
    for door, names in DOORS.items():
        if not figures.wants(*names):
            continue
        found = through_door(company, figures, door)
        processor = "cpu" if door == "mails" else "forms-cpu"
        for one in found:
            figures.note(door, one.rate)
            figures.note(processor, one.milliseconds)
        figures.tell(processor, f"per process, medians: {_per_process(found)}")
        figures.tell(door, f"per second at each stage, medians: {_per_stage(found)}")


def _per_process(found: list[Flow]) -> str:
    middle = {name: statistics.median(one.processor[name] for one in found) for name in found[0].processor}
    return ", ".join(f"{name} {ms:.2f}" for name, ms in sorted(middle.items(), key=lambda one: -one[1]))


def _per_stage(found: list[Flow]) -> str:
    stages = {"accepted": statistics.median(one.accepted for one in found)}
    stages |= {name: statistics.median(one.rates[name] for one in found) for name in found[0].rates}
    return ", ".join(f"{name} {rate:.0f}" for name, rate in stages.items())


def offers(company: Company, figures: Figures) -> None:
    """From the door to the offer, at half the rate that the form's row showed."""
    if not figures.wants(*OFFERED):
        return
    if "forms" in figures.values:
        whole = statistics.median(figures.values["forms"])
    else:
        whole = flow.measure(company, "forms", MAILS).rate
    rate = float(os.environ.get("OFFERED_RATE", whole / 2))
    number = int(rate * CALM_SECONDS)
    for run in range(RUNS):
        company.everybody_online()
        taken = latency.door_to_offered(company, number, rate)
        for name, share in (("offered-p50", 0.5), ("offered", 0.99)):
            figures.note(name, latency.percentile(taken, share))
        half, late = figures.values["offered-p50"][-1], figures.values["offered"][-1]
        figures.say(
            f"offered, run {run + 1} of {RUNS}, {number} at {rate:.0f}/s: p50 {half:.0f}, p99 {late:.0f} ms"
        )
    figures.tell("offered", f"at {rate:.0f} forms/s, from the first byte until a subscriber saw the offer")


def commands(company: Company, figures: Figures) -> None:
    """Notes through the gateway by one client, and by sixteen."""
    if not figures.wants(*ONE, *MANY):
        return
    tickets = some_tickets(company, COMMANDS)
    tokens = [desk.token for desk in company.desks][:CLIENTS]
    for run in range(RUNS):
        alone = given(company, tickets, tokens[:1], COMMANDS // 8)
        many = given(company, tickets, tokens, COMMANDS // CLIENTS)
        figures.note("command", latency.percentile(alone[1], 0.99))
        figures.note("commands", many[0])
        figures.note("commands-p99", latency.percentile(many[1], 0.99))
        figures.say(
            f"commands, run {run + 1} of {RUNS}: one client p50 {statistics.median(alone[1]):.1f},"
            f" p99 {figures.values['command'][-1]:.1f} ms; {CLIENTS} clients {many[0]:.0f}/s,"
            f" p99 {figures.values['commands-p99'][-1]:.0f} ms"
        )


def commands_of_many(company: Company) -> list[float]:
    """Per second, of sixteen clients, run by run."""
    tickets = some_tickets(company, COMMANDS)
    tokens = [desk.token for desk in company.desks][:CLIENTS]
    return [given(company, tickets, tokens, COMMANDS // CLIENTS)[0] for _ in range(RUNS)]


def some_tickets(company: Company, number: int) -> list[str]:
    """The newest, after more were opened where there are too few."""
    url = company.system.owner_url("analytics")
    statement = "SELECT ticket_id::text FROM open_tickets ORDER BY number DESC LIMIT %s"
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement, (number,)).fetchall()
        if len(found) < number:
            flow.measure(company, "mails", number - len(found))
            found = connection.execute(statement, (number,)).fetchall()
    return [one for (one,) in found]


def given(company: Company, tickets: list[str], tokens: list[str], number: int) -> tuple[float, list[float]]:
    """(Commands per second, milliseconds of each) with a client for each token."""
    told = {"url": company.system.gateway_url, "tickets": tickets, "tokens": tokens, "count": number}
    with Client("commands", told) as client:
        answer = client.ask()
    return answer["rate"], answer["taken"]


def remember(company: Company, figures: Figures) -> None:
    """Memory under load."""
    if not figures.wants(*MEMORY):
        return
    grown = memory.under_load(company, figures.say)
    figures.note("memory", max(one.peak for one in grown.values()))
    figures.note("memory-slope", max(one.slope for one in grown.values()))
    each = ", ".join(f"{name} {one.peak:.0f} MB ({one.slope:+.1f} MB/h)" for name, one in grown.items())
    figures.tell("memory", f"after {memory.MINUTES:g} minutes at {memory.RATE:g} messages/s: {each}")
    figures.say(f"memory: {each}")


def profiles(company: Company, figures: Figures) -> None:
    """Pages beside the table, where PROFILE=1 asks for them."""
    if os.environ.get("PROFILE") != "1":
        return
    with tempfile.TemporaryDirectory(prefix="deskline-profile-") as folder:
        for door, names in DOORS.items():
            if figures.wants(*names):
                pages = profiling.under_load(company, door, MAILS, Path(folder))
                figures.say(f"profiles: {', '.join(str(page) for page in pages.values())}")


def on_a_company(figures: Figures) -> None:
    """Every row that a fresh system shows."""
    if figures.wants(*DOORS["mails"], *DOORS["forms"], *OFFERED, *ONE, *MANY, *MEMORY):
        with running(figures.say, "") as company:
            for measure in (doors, offers, commands, profiles, remember):
                measure(company, figures)


def on_the_chassis(figures: Figures) -> None:
    """Relay and reader, alone."""
    if not figures.wants("relay", "reader"):
        return
    with chassis(figures.say) as alone:
        figures.note("relay", alone.relay_rate())
        # Before there are repeats in the topic.
        for _ in range(RUNS if figures.wants("reader") else 0):
            figures.note("reader", alone.reader_rate())
        for _ in range(RUNS - 1 if figures.wants("relay") else 0):
            figures.note("relay", alone.relay_rate())
    for name in ("relay", "reader"):
        shown = ", ".join(f"{value:.0f}" for value in figures.values.get(name, ()))
        figures.say(f"{name}, events per second: {shown}")
