"""A disk that is slow or full for PostgreSQL alone, by strace's injection into its system calls."""

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
from tests.chaos.faults.servers import SilentError

from deskline_local.postgres import PostgresProcess
from deskline_local.server import Server

ATTACH_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
SYNCS: Final = "fsync,fdatasync"
WRITES: Final = "pwrite64,pwritev,fallocate,ftruncate"


class StraceMissing(Exception):  # noqa: N818 -- what is wrong
    """strace is not installed, or may not trace."""


@contextmanager
def slow_fsync(postgres: Server, seconds: float) -> Iterator[None]:
    """Each sync of its files takes so much longer, for as long as the block runs."""
    with _injected(_processes(postgres), SYNCS, f"delay_enter={int(seconds * 1_000_000)}"):
        yield


@contextmanager
def full_disk(postgres: Server) -> Iterator[None]:
    """Nothing that it writes finds room, for as long as the block runs; ends when it answers again.

    Where its log of changes finds none, PostgreSQL ends itself: it is then started again.
    """
    try:
        with _injected(_processes(postgres), WRITES, "error=ENOSPC"):
            yield
    finally:
        _answering(postgres)


def _processes(postgres: Server) -> list[int]:
    """The postmaster and its children; those that it forks are traced by themselves."""
    return [postgres.pid, *(child.pid for child in psutil.Process(postgres.pid).children(recursive=True))]


@contextmanager
def _injected(pids: Sequence[int], calls: str, fault: str) -> Iterator[None]:
    program = shutil.which("strace")
    if program is None:
        raise StraceMissing("strace is not there: install Debian's strace, as `make test-extra` does")
    traced = [part for pid in pids for part in ("-p", str(pid))]
    what = ["-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    command = [program, "-f", "-qq", "-o", "/dev/null", *what, *traced]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tracing:
        try:
            _await_attached(tracing, pids[0])
            yield
        finally:
            # It lets go of what it traced.
            tracing.send_signal(signal.SIGINT)
            tracing.communicate(timeout=ATTACH_SECONDS)


def _await_attached(tracing: "subprocess.Popen[str]", pid: int) -> None:
    deadline, pause = time.monotonic() + ATTACH_SECONDS, threading.Event()
    while _tracer_of(pid) != tracing.pid:
        if tracing.poll() is not None:
            told = tracing.stderr.read() if tracing.stderr else ""
            raise StraceMissing(f"strace can't trace here: {told.strip()}")
        if time.monotonic() > deadline:
            raise StraceMissing(f"strace did not attach within {ATTACH_SECONDS:.0f} s")
        pause.wait(POLL_SECONDS)


def _tracer_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("TracerPid:"))


def _answering(postgres: Server) -> None:
    if not isinstance(postgres, PostgresProcess):
        raise TypeError(f"{postgres.name} is no process of ours")
    deadline, pause = time.monotonic() + ANSWER_SECONDS, threading.Event()
    while not (postgres.running and postgres.answers()):
        if time.monotonic() > deadline:
            raise SilentError("PostgreSQL does not answer after its disk was full")
        if not postgres.running:
            postgres.start()
        pause.wait(POLL_SECONDS)
