"""The supervisor: what dies comes back, what is stopped stays down, nothing is left."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deskline_local.errors import NotRunning
from deskline_local.supervisor import Backoff, Supervisor

pytestmark = pytest.mark.unit

PATIENT = [sys.executable, "-c", "import signal; signal.pause()"]
DYING = [sys.executable, "-c", "print('dying', flush=True); raise SystemExit(3)"]
QUICK = Backoff(first=0.01, longest=0.04, healthy_after=60)


def wait_for_text(log: Path, text: str) -> None:
    never = threading.Event()
    while text not in log.read_text():
        never.wait(0.01)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor(QUICK) as running:
        yield running


def test_killed_process_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    first = supervisor.start("service", PATIENT, tmp_path / "log")
    assert supervisor.kill("service") == first
    assert supervisor.wait_for(lambda: supervisor.restarts("service") == 1, 10)
    assert supervisor.pid("service") not in {None, first}
    assert supervisor.exit_codes("service") == [-signal.SIGKILL]


def test_process_that_ends_by_itself_is_started_again_and_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start("service", DYING, tmp_path / "log")
    assert supervisor.wait_for(lambda: supervisor.restarts("service") >= 3, 10)
    assert set(supervisor.exit_codes("service")) == {3}
    supervisor.stop()
    assert (tmp_path / "log").read_text().count("dying") >= 3


def test_waits_double_up_to_the_longest_and_begin_anew_after_a_healthy_life() -> None:
    backoff = Backoff()
    waits = [0.2]
    for _ in range(6):
        waits.append(backoff.after(waits[-1], lived=0.1))
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.after(0, lived=0.1) == 0.2
    assert backoff.after(5.0, lived=10.0) == 0.2


def test_stop_ends_all_in_order_and_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    tidy = "import signal; signal.signal(15, lambda *_: exit(0)); print('up', flush=True); signal.pause()"
    supervisor = Supervisor(QUICK)
    pids = [
        supervisor.start(f"service{n}", [sys.executable, "-c", tidy], tmp_path / f"{n}.log") for n in range(3)
    ]
    for n in range(3):
        wait_for_text(tmp_path / f"{n}.log", "up")
    supervisor.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert threading.active_count() == before
    with pytest.raises(NotRunning):
        supervisor.start("late", PATIENT, tmp_path / "log")


def test_process_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    supervisor = Supervisor(QUICK)
    pid = supervisor.start("deaf", [sys.executable, "-c", deaf], tmp_path / "log")
    wait_for_text(tmp_path / "log", "deaf")
    supervisor.stop(grace=0.1)
    assert not psutil.pid_exists(pid)


def test_removed_process_stays_down(supervisor: Supervisor, tmp_path: Path) -> None:
    pid = supervisor.start("service", PATIENT, tmp_path / "log")
    supervisor.remove("service")
    assert supervisor.names == []
    assert not psutil.pid_exists(pid)


def test_peak_memory_counts_the_children(supervisor: Supervisor, tmp_path: Path) -> None:
    size = 64 * 1024 * 1024
    hungry = f"import signal; b = bytearray({size}); print('full', flush=True); signal.pause()"
    parent = f"import subprocess,sys; subprocess.run([sys.executable, '-c', {hungry!r}])"
    supervisor.start("service", [sys.executable, "-c", parent], tmp_path / "log")
    wait_for_text(tmp_path / "log", "full")
    peak = supervisor.peak_rss("service")
    assert size < peak < 2 * size
    supervisor.remove("service")


def test_environment_and_folder_are_those_given(supervisor: Supervisor, tmp_path: Path) -> None:
    script = "import os,signal; print(os.environ['DESKLINE_X'], os.getcwd(), flush=True); signal.pause()"
    env = {**os.environ, "DESKLINE_X": "given"}
    supervisor.start("service", [sys.executable, "-c", script], tmp_path / "log", env=env, cwd=tmp_path)
    wait_for_text(tmp_path / "log", "\n")
    assert (tmp_path / "log").read_text() == f"given {tmp_path}\n"


def test_stopped_service_can_not_be_killed_again(supervisor: Supervisor, tmp_path: Path) -> None:
    with Supervisor(Backoff(first=60)) as slow:
        slow.start("service", PATIENT, tmp_path / "log")
        slow.kill("service")
        with pytest.raises(NotRunning):
            slow.kill("service")
