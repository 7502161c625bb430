"""Rows that ask for a million tickets: look-ups, timers, and each rate against that of ten thousand."""

import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from bench import latency, profiling, querying, timers
from bench.company import Company, running, told
from bench.measuring import RUNS, Figures, commands_of_many, through_door
from bench.million.world import World

SMALL: Final = 10_000
LARGE: Final = int(os.environ.get("TICKETS", "1000000"))
LOOK_UPS: Final = {"card": querying.cards, "list": querying.lists, "search": querying.searches}
AGAINST: Final = ("forms-million", "mails-million", "cpu-million", "commands-million")
ROWS: Final = (*LOOK_UPS, *AGAINST, "timers", "rebuild")

Rates = dict[str, list[float]]


def on_a_million(figures: Figures) -> None:
    """In the lasting folder BENCH_FOLDER, so that what was loaded once is there the next time."""
    if not figures.wants(*ROWS):
        return
    with running(figures.say) as company:
        world = World(company, figures.say)
        small: Rates = {}
        if figures.wants(*AGAINST) and world.copies * world.template.tickets < LARGE:
            world.grow(SMALL)
            small = rates(company, figures)
        seconds = world.grow(LARGE)
        if seconds:
            figures.say(f"{LARGE:,} tickets: {seconds / 60:.1f} minutes")
        look_ups(company, figures)
        if small:
            against(rates(company, figures), small, figures)
        fire(company, figures)
        rebuild(company, figures)


def rates(company: Company, figures: Figures) -> Rates:
    """Each rate at the number of tickets that there is."""
    found: Rates = {}
    by_mail = through_door(company, figures, "mails")
    found["mails"] = [one.rate for one in by_mail]
    found["cpu"] = [one.milliseconds for one in by_mail]
    found["forms"] = [one.rate for one in through_door(company, figures, "forms")]
    found["commands"] = commands_of_many(company)
    return found


def against(large: Rates, small: Rates, figures: Figures) -> None:
    """In percent of the small one's median."""
    for name, values in large.items():
        before = statistics.median(small[name])
        for value in values:
            figures.note(f"{name}-million", 100 * (value / before - 1))
        now = statistics.median(values)
        figures.tell(f"{name}-million", f"{before:.1f} at {SMALL:,} tickets, {now:.1f} at {LARGE:,}")


def look_ups(company: Company, figures: Figures) -> None:
    """One client, one request at a time, others each time."""
    for name, requests in LOOK_UPS.items():
        if not figures.wants(name):
            continue
        figures.tell(name, f"{LARGE:,} tickets")
        for run in range(RUNS):
            taken = querying.milliseconds(company, requests(company, random.Random(run)))
            figures.note(name, latency.percentile(taken, 0.99))
            middle = statistics.median(taken)
            figures.say(
                f"{name}, run {run + 1} of {RUNS}: p50 {middle:.1f}, p99 {figures.values[name][-1]:.1f} ms"
            )


def fire(company: Company, figures: Figures) -> None:
    """Once: it takes minutes, and five thousand deadlines are its spread."""
    if figures.wants("timers"):
        company.everybody_online()
        late, armed = timers.lateness(company)
        figures.note("timers", latency.percentile(late, 0.99))
        figures.tell("timers", f"{armed:,} armed; p50 {latency.percentile(late, 0.5):.2f} s")
        figures.say(f"timers: p99 {figures.values['timers'][-1]:.2f} s late, {armed:,} armed")


def rebuild(company: Company, figures: Figures) -> None:
    """Of all that there is, once: from the start of the command to its end, the comparison included."""
    if figures.wants("rebuild"):
        events = company.events()
        started = time.monotonic()
        figures.say(told(company.system, "analytics", "rebuild").strip())
        figures.note("rebuild", events / (time.monotonic() - started))
        figures.tell("rebuild", f"{events:,} events, comparison of all tables included")
        if os.environ.get("PROFILE") == "1":
            with tempfile.TemporaryDirectory(prefix="deskline-profile-") as folder:
                figures.say(f"profile: {profiling.of_rebuild(company, Path(folder))}")
