"""Mails, forms and commands while everything is disturbed in every way: all promises hold, and it is shown.

CHAOS_SEED repeats a plan, MINUTES=60 makes it last; CHAOS_ROUNDS and CHAOS_MESSAGES make it shorter.
"""

import os
import secrets
import time
from pathlib import Path

import pytest
from tests.chaos import verdict
from tests.chaos.judgement import judge, not_looked_at
from tests.chaos.plan import CYCLE
from tests.chaos.run import Run, Size, play, say, started
from tests.chaos.verdict import Happened, VoidRunError
from tests.judging.records import Findings

ROOT = Path(__file__).parents[2]
MINUTES = float(os.environ.get("MINUTES") or 0)
MESSAGES, RATE, RATE_IN_CALMS, RATE_IN_PEACE = 15_000, 30.0, 5.0, 60.0
MESSAGES_A_MINUTE, KILLS_A_MINUTE = 1_700, 17
"""Of a run that lasts: an hour makes a hundred thousand and a thousand."""
KILLS_A_ROUND = 11
"""Of a whole cycle of nine rounds that makes a hundred."""

MOST_SECONDS = 1200 + 100 * MINUTES

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(MOST_SECONDS)]


def size() -> Size:
    rounds = int(os.environ.get("CHAOS_ROUNDS") or CYCLE)
    messages = int(os.environ.get("CHAOS_MESSAGES") or (MINUTES * MESSAGES_A_MINUTE if MINUTES else MESSAGES))
    kills = int(MINUTES * KILLS_A_MINUTE) if MINUTES else rounds * KILLS_A_ROUND
    return Size(messages, rounds, RATE, RATE_IN_CALMS, RATE_IN_PEACE, kills, MINUTES)


def happened(run: Run, seconds: float) -> Happened:
    done = run.nemesis.done
    ledger = run.crowd.ledger
    calls: dict[tuple[str, str], int] = {call: count for call, count in ledger.calls.items()}  # noqa: C416
    for one in run.given:
        calls["command", one.outcome] = calls.get(("command", one.outcome), 0) + 1
    slowest = max(done.healed, key=lambda one: one[1], default=("nothing", 0.0))
    longest = max((one.seconds for one in done.announced), default=0.0)
    return Happened(
        seed=run.seed,
        seconds=seconds,
        accepted=ledger.accepted,
        calls=calls,
        faults=done.counts,
        crashes=run.crashes(),
        kills=run.watch.kills(),
        server_kills=done.server_kills,
        repeated=done.repeated,
        rebalances=done.rebalances,
        handed_over=done.handed_over,
        unknown=sum(calls.get((kind, "info"), 0) for kind in ("mail", "form", "command")),
        notes=[
            f"{len(done.healed)} times healed, at most after {slowest[1]:.1f} s ({slowest[0]})",
            (
                f"{len(done.announced)} times logs were still being announced anew by then,"
                f" and read by all at most {longest:.1f} s after the loss"
            ),
        ],
    )


def write(text: str) -> None:
    folder = ROOT / ".deskline" / "chaos"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdict.md").write_text(f"# Verdict of a chaos run\n\n{text}\n", encoding="utf-8")
    say(f"{folder / 'verdict.md'}\n{text}")


def test_every_promise_holds_whatever_happens(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))
    say(f"seed {seed}: CHAOS_SEED={seed} repeats the plan; logs are in {tmp_path}")
    began = time.monotonic()
    with started(tmp_path / "system", seed, size()) as run:
        try:
            play(run, size())
            findings = judge(run)
        except BaseException:
            say(f"ended early: {run.nemesis.findings.table()}")
            raise
        told = happened(run, time.monotonic() - began)
    write(verdict.table(findings, told))
    _check(run, findings, told)


def _check(run: Run, findings: Findings, told: Happened) -> None:
    assert not any(findings.wrong.values()), findings.table()
    steps = [step for one in run.played[: run.nemesis.done.rounds] for step in one.steps]
    points = [step.target[1] for step in steps if step.kind == "crash point"]
    void = verdict.void_reasons(told, [step.kind for step in steps], points)
    if void:
        raise VoidRunError(f"the run proves nothing: {'; '.join(void)}")
    missing = not_looked_at(findings)
    assert not missing, f"never looked at: {sorted(missing)}"
    assert told.accepted >= size().messages
    kills = told.kills + told.server_kills
    assert kills >= size().kills, f"only {kills} kills of {size().kills}"
