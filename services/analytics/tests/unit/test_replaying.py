"""The processes of a rebuild: their records are counted together, and one that fails ends all."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import active_children
from multiprocessing.connection import Connection

import pytest

from deskline_analytics import replaying
from deskline_analytics.rebuilding import RebuildRefusedError, Targets

pytestmark = pytest.mark.unit

TARGETS: Targets = {("events", number): 10 for number in range(6)}
TOLD_UNTIL = 1.5


def counts(targets: Targets, telling: Connection) -> None:
    ends = time.monotonic() + TOLD_UNTIL
    while time.monotonic() < ends:
        telling.send(len(targets))
        time.sleep(0.05)


def refuses(targets: Targets, telling: Connection) -> None:
    if ("events", 1) in targets:
        telling.send(replaying._Failed("the broker holds too little"))
    signal.pause()


def is_killed(targets: Targets, _telling: Connection) -> None:
    if ("events", 1) in targets:
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


Work = Callable[[Targets, Connection], None]


def run(monkeypatch: pytest.MonkeyPatch, work: Work) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(replaying, "_replay_part", work)
    monkeypatch.setattr(replaying, "TELL_SECONDS", 0.1)
    replaying.replay_in_parts(TARGETS, 2, lambda read, whole: told.append((read, whole)))
    return told


def test_records_of_all_processes_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    told = run(monkeypatch, counts)
    assert told[-1] == (6, 60)


@pytest.mark.parametrize(("work", "says"), [(refuses, "holds too little"), (is_killed, "ended with -9")])
def test_one_that_fails_ends_all(monkeypatch: pytest.MonkeyPatch, work: Work, says: str) -> None:
    with pytest.raises(RebuildRefusedError, match=says):
        run(monkeypatch, work)
    assert active_children() == []


def test_little_is_replayed_by_one() -> None:
    processors = len(os.sched_getaffinity(0))
    assert replaying.processes_for(2 * replaying.WORTH - 1) == 1
    assert replaying.processes_for(2 * replaying.WORTH) == min(2, processors)
    assert replaying.processes_for(10**9) == min(replaying.MOST_PROCESSES, processors)
