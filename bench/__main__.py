"""`make bench`, `python -m bench`: how fast Deskline is here, row by row, written to docs/benchmarks.md.

A real system on this machine: all services, Kafka and PostgreSQL with fsync. By the environment:

ROWS=cpu,mails,forms   some rows only (the names are in bench/rows.py); the page keeps the others' figures
RUNS=5                 runs of each row
MAILS=1500             messages of a run through a door
KEEP=0                 measure and print, and leave docs/benchmarks.md as it is
PROFILE=1              after mails, forms and a rebuild, one more under py-spy, kept in docs/profiles
MEM_MINUTES=4          of load for the rows on memory (60: whether it is flat over an hour), at MEM_RATE=40
BENCH_FOLDER=.deskline/bench   where a million tickets stay for the next time; TICKETS=1000000
"""

import os
import sys

from bench import report
from bench.measuring import Figures, on_a_company, on_the_chassis
from bench.rows import NAMES, ROWS
from bench.sizes import on_a_million


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def chosen() -> tuple[str, ...]:
    """The rows that were asked for; raises SystemExit where one does not exist."""
    asked = tuple(name for name in os.environ.get("ROWS", "").split(",") if name) or NAMES
    if unknown := sorted(set(asked) - set(NAMES)):
        raise SystemExit(f"no such rows: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return asked


def keep(figures: Figures) -> None:
    """Write what was measured into docs/benchmarks.md."""
    measured = {
        name: report.here(values, figures.notes.get(name, ())) for name, values in figures.values.items()
    }
    if os.environ.get("KEEP", "1") != "0":
        report.keep(measured)


def main() -> None:
    """Measure what was asked for, group by group, keeping what is there however a group ends."""
    figures = Figures(chosen(), say)
    for group in (on_a_company, on_the_chassis, on_a_million):
        try:
            group(figures)
        finally:
            keep(figures)
    for row in ROWS:
        if row.name in figures.values:
            say(f"{row.name}: {report.spread(figures.values[row.name])} {row.unit}")


if __name__ == "__main__":
    main()
