"""The processes of a rebuild: their records are counted together, and one that fails ends all."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import active_children
from multiprocessing.connection import Connection

import pytest

from deskline_analytics import replaying
from deskline_analytics.adapters import control_groups
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


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int | None], None]:
    def give(processors: int, free: int | None) -> None:
        monkeypatch.setattr(control_groups, "processors", lambda: processors)
        monkeypatch.setattr(control_groups, "free_memory", lambda: free)

    return give


@pytest.mark.parametrize(
    ("processors", "free", "records", "processes"),
    [
        (2, None, 10**9, 2),
        (16, None, 10**9, replaying.MOST_PROCESSES),
        (4, None, 3 * replaying.WORTH, 3),
        (4, None, 2 * replaying.WORTH - 1, 1),
        (4, 3 * replaying.PROCESS_BYTES - 1, 10**9, 2),
        (4, 0, 10**9, 1),
        (1, None, 0, 1),
    ],
)
def test_as_many_processes_as_there_is_room_and_work_for(
    room: Callable[[int, int | None], None], processors: int, free: int | None, records: int, processes: int
) -> None:
    room(processors, free)
    assert replaying.processes_for(records) == processes
