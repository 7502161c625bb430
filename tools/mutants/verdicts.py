"""What became of the mutants of a part, and which survivors have a reason."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REASONS: Final = Path(__file__).parents[1] / "mutants_survivors.toml"
GOAL: Final = 85.0


@dataclass(frozen=True, slots=True, order=True)
class Survivor:
    """A mutation that the tests let live: `where` is file:function, `mutation` the lines before and after."""

    where: str
    mutation: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why survivors of one place may live."""

    where: str
    mutations: tuple[str, ...]
    reason: str

    @property
    def survivors(self) -> tuple[Survivor, ...]:
        return tuple(Survivor(self.where, mutation) for mutation in self.mutations)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The count of a part; `survivors` as often as they occur, those that no test reaches among them."""

    mutants: int
    tried: int
    killed: int
    timeouts: int
    survivors: tuple[Survivor, ...]

    @property
    def percent(self) -> float:
        return 100.0 * (self.killed + self.timeouts) / self.tried if self.tried else 100.0


class UndecidedError(Exception):
    """The run did not come to the end of its mutants."""


def judge(outcome: Iterable[Mapping[str, str]]) -> Verdict:
    """Counts what mutmut noted, what a sample left out apart; raises UndecidedError."""
    every = list(outcome)
    outcome = [one for one in every if one["status"] != "skipped"]
    counts = Counter(one["status"] for one in outcome)
    unknown = set(counts) - {"killed", "timeout", "segfault", "survived", "no tests"}
    if unknown:
        raise UndecidedError(", ".join(f"{counts[status]} {status}" for status in sorted(unknown)))
    alive = sorted(
        Survivor(f"{one['file']}:{one['function']}", one["mutation"])
        for one in outcome
        if one["status"] in {"survived", "no tests"}
    )
    # The limit of CPU time ends a mutant that turns in a circle by a signal that looks like a fault.
    ended = counts["timeout"] + counts["segfault"]
    return Verdict(len(every), len(outcome), counts["killed"], ended, tuple(alive))


def read_reasons(path: Path = REASONS) -> dict[str, tuple[Reason, ...]]:
    """The reasons by part."""
    told: dict[str, list[dict[str, Any]]] = tomllib.loads(path.read_text()) if path.exists() else {}
    return {
        part: tuple(Reason(one["where"], tuple(one["mutations"]), one["reason"].strip()) for one in reasons)
        for part, reasons in told.items()
    }


def unexplained(verdict: Verdict, reasons: Iterable[Reason]) -> tuple[Survivor, ...]:
    """Survivors for which no reason is given."""
    explained = {one for reason in reasons if reason.reason for one in reason.survivors}
    return tuple(sorted(set(verdict.survivors) - explained))


def stale(verdict: Verdict, reasons: Iterable[Reason]) -> tuple[Survivor, ...]:
    """Reasons for what did not survive."""
    return tuple(sorted({one for reason in reasons for one in reason.survivors} - set(verdict.survivors)))
