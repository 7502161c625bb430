"""What a run proves: promise by promise what was checked and what was violated, and the bound of its kills.

A run in which a planned fault did not happen, or in which nothing was ever repeated or unknown, proves
nothing: it is void, which is a failure of another kind.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.judging.records import Findings

PROMISES = {
    "I1": "an accepted message has exactly one effect",
    "I2": "an acknowledged command survives, and its key gives the same answer",
    "I3": "the order of each ticket's events",
    "I4": "the relay is complete",
    "I5": "a reader applies once, in order",
    "I6": "a deadline fires once, on time",
    "I7": "no second notification",
    "I8": "a rebuilt read model equals the live one",
    "I9": "poison never blocks, an outage never parks",
    "I10": "events from the future are parked, unknown fields ignored",
    "I12": "it heals alone within 30 s",
    "I14": "an erased person is readable nowhere",
    "I15": "an automatic message never causes another",
    "I16": "the past stays quiet",
    "I17": "the broker's loss heals",
}
OTHERS = "rules"
SHOWN = 5
CONFIDENCE = 3.0
"""No failure in n independent tries bounds the rate at 3/n with 95 %."""


class VoidRunError(AssertionError):
    """What the run should have shown did not happen, so that it proves nothing."""


@dataclass(frozen=True)
class Happened:
    """What a run was made of."""

    seed: int
    seconds: float
    accepted: int
    calls: Mapping[tuple[str, str], int]
    faults: Mapping[str, int]
    crashes: Mapping[str, int]
    kills: int
    server_kills: int
    repeated: int
    rebalances: int
    handed_over: int
    unknown: int
    notes: Sequence[str] = ()


def promise_of(check: str) -> str:
    """`I6 once` → `I6`; rules that are no promise of that list go together."""
    first = check.partition(" ")[0]
    return first if first in PROMISES else OTHERS


def void_reasons(happened: Happened, planned: Iterable[str], points: Iterable[str]) -> list[str]:
    """Why the run proves nothing; none where it does."""
    reasons = [
        f"no {what}"
        for what, count in (
            ("record was delivered twice", happened.repeated),
            ("call ended unknown", happened.unknown),
            ("group was rebalanced", happened.rebalances),
            ("lease was handed over", happened.handed_over),
            ("process was killed", happened.kills),
        )
        if count == 0
    ]
    reasons += [f"no {kind}" for kind in dict.fromkeys(planned) if not happened.faults.get(kind)]
    return reasons + [
        f"no crash at {point}" for point in dict.fromkeys(points) if not happened.crashes.get(point)
    ]


def table(findings: Findings, happened: Happened) -> str:
    """The verdict, as Markdown."""
    checked: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {}
    for check, count in findings.checked.items():
        checked[promise_of(check)] += count
    for check, ids in findings.wrong.items():
        if ids:
            wrong.setdefault(promise_of(check), []).extend(f"{check}: {one}" for one in ids)
    kills = happened.kills + happened.server_kills
    lines = [
        "| promise | | checked | violated |",
        "|---|---|---:|---:|",
        *(
            f"| {name} | {said} | {checked[name]:,} | {len(wrong.get(name, ()))} |"
            for name, said in (PROMISES | {OTHERS: "one offer, one assignee, every ticket routed"}).items()
            if checked[name]
        ),
        "",
        *_told(happened, kills),
        f"Looked at: {', '.join(f'{check} {count:,}' for check, count in sorted(findings.checked.items()))}.",
        "",
    ]
    lines.append(
        f"No violation in {kills} kills: with 95 % confidence fewer than one kill in"
        f" {kills / CONFIDENCE:.0f} breaks a promise ({CONFIDENCE:.0f}/{kills} = {CONFIDENCE / kills:.2%})."
        if not wrong and kills
        else f"Violated: {', '.join(wrong) or 'nothing'}."
    )
    for name, ids in wrong.items():
        lines += ["", f"{name}:", "", *(f"- {one}" for one in ids[:SHOWN])]
        if len(ids) > SHOWN:
            lines.append(f"- and {len(ids) - SHOWN} more")
    return "\n".join(lines)


def _told(happened: Happened, kills: int) -> list[str]:
    calls = ", ".join(
        f"{kind} {outcome} {count:,}" for (kind, outcome), count in sorted(happened.calls.items())
    )
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(happened.faults.items()))
    crashes = ", ".join(f"{point} {count}" for point, count in sorted(happened.crashes.items()))
    return [
        f"- seed {happened.seed} (`CHAOS_SEED={happened.seed}` repeats its plan), {happened.seconds:.0f} s",
        f"- {happened.accepted:,} messages accepted; calls: {calls}",
        f"- {kills} kills, {happened.server_kills} of them servers; crash points: {crashes or 'none'}",
        f"- faults: {faults}",
        (
            f"- {happened.repeated:,} records delivered again, {happened.rebalances} rebalances,"
            f" {happened.handed_over} leases handed over, {happened.unknown} calls of unknown fate"
        ),
        *(f"- {note}" for note in happened.notes),
        "",
    ]
