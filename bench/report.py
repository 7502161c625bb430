"""The figures, kept beside the page made of them: each row with the commit that it was measured at."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.rows import ROWS, Row

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "benchmarks.md"
KEPT: Final = ROOT / "docs" / "benchmarks.json"
PROFILES: Final = ROOT / "docs" / "profiles"

HEAD: Final = """\
# Benchmarks

Written by `make bench`; `ROWS=mails,cpu` measures some rows only and leaves the others as they are.
All services, Kafka and PostgreSQL with fsync on run on one machine, as do the load clients and the
customers' mail servers, which take part of it: rates are theirs too, processor time is not. Customers,
addresses and tickets are new in each message. Figures are minimum / median / maximum over the runs, and
the median is judged. The machine is shared, so rates vary with its other guests; processor time hardly.

| what | at least | goal | min / median / max | reached | runs | measured |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """A row's figures, run by run, and what was measured where; `notes` say what stands behind them."""

    values: list[float]
    commit: str
    machine: str
    date: str
    notes: list[str]


def here(values: Sequence[float], notes: Sequence[str] = ()) -> Measured:
    """Measured now, of this commit, on this machine."""
    cores = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return Measured(list(values), commit(), cores, f"{datetime.now(UTC):%Y-%m-%d}", list(notes))


def commit() -> str:
    """The commit, with a plus where files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=False, cwd=ROOT, timeout=30
        )
        return done.stdout.strip()

    short = git("rev-parse", "--short", "HEAD") or "unknown"
    return f"{short}+" if git("status", "--porcelain", "--", "services", "shared", "deploy") else short


def number(value: float) -> str:
    """With three digits that mean something."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """Minimum, median, maximum."""
    return " / ".join(number(one) for one in (min(values), statistics.median(values), max(values)))


def _asked(row: Row, value: float | None) -> str:
    return "" if value is None else f"{value:,g} {row.unit}"


def _line(row: Row, measured: Measured) -> str:
    cells = (
        row.what,
        _asked(row, row.at_least),
        _asked(row, row.goal),
        f"{spread(measured.values)} {row.unit}",
        row.reached(statistics.median(measured.values)),
        str(len(measured.values)),
        f"{measured.commit}, {measured.date}",
    )
    return f"| {' | '.join(cells)} |"


def page(rows: Mapping[str, Measured]) -> str:
    """The whole page."""
    there = [(row, rows[row.name]) for row in ROWS if row.name in rows]
    lines = [_line(row, measured) for row, measured in there]
    machines = sorted({measured.machine for _, measured in there})
    notes = [f"- {row.name}: {note}" for row, measured in there for note in measured.notes]
    profiles = sorted(path.name for path in PROFILES.glob("*.txt"))
    shown = [f"- [{name.removesuffix('.txt')}](profiles/{name})" for name in profiles]
    parts = [HEAD + "\n".join(lines), "Machine: " + "; ".join(machines) + "."]
    if notes:
        parts.append("## What stands behind the figures\n\n" + "\n".join(notes))
    if shown:
        parts.append("## Profiles\n\n" + "\n".join(shown))
    return "\n\n".join(parts) + "\n"


def known() -> dict[str, Measured]:
    """What was measured before."""
    if not KEPT.exists():
        return {}
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return {name: Measured(**content) for name, content in found.items()}


def keep(measured: Mapping[str, Measured]) -> None:
    """Put these rows in place of their older figures, and write the page anew."""
    rows = known() | dict(measured)
    ordered = {row.name: rows[row.name] for row in ROWS if row.name in rows}
    content = {name: {field: getattr(one, field) for field in one.__slots__} for name, one in ordered.items()}
    KEPT.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(ordered), encoding="utf-8")
