"""Kafka and PostgreSQL killed, stopped, wiped and set back, alone or with everything else at once."""

import contextlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deskline_local.errors import NotRunning
from deskline_local.server import ProcessServer, Server
from deskline_local.stack import Stack
from deskline_local.supervisor import Supervisor
from deskline_local.system import System

ANSWER_SECONDS: Final = 60.0


class SilentError(Exception):
    """A server does not answer again."""


def kill(server: Server, seconds: float = 0.0) -> None:
    """SIGKILL, so many seconds without it, and a new start; returns when it answers."""
    server.kill()
    threading.Event().wait(seconds)
    server.start()


def freeze(server: Server, seconds: float) -> None:
    """SIGSTOP for so many seconds; returns when it answers again."""
    with frozen(server):
        threading.Event().wait(seconds)


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """SIGSTOP for as long as the block runs; ends when it answers again."""
    server.pause()
    try:
        yield
    finally:
        server.resume()
        wait_until_it_answers(server)


def wait_until_it_answers(server: Server) -> None:
    """A broker that was stopped past its session is fenced for a moment; raises SilentError."""
    if not isinstance(server, ProcessServer):
        raise TypeError(f"{server.name} is no process of ours")
    deadline, pause = time.monotonic() + ANSWER_SECONDS, threading.Event()
    while not server.answers():
        if not server.running or time.monotonic() > deadline:
            raise SilentError(f"{server.name} does not answer")
        pause.wait(0.05)


def wipe_kafka(stack: Stack) -> None:
    """Kill it, remove its data, start it: another, empty cluster; returns when it answers."""
    stack.kafka.kill()
    stack.kafka.wipe()
    stack.kafka.start()


def kill_everything(system: System) -> dict[str, int]:
    """SIGKILL of every service and both servers at once; back when the servers answer. Process → dead pid.

    The supervisor starts the services again by itself.
    """
    stack, supervisor = system.stack, system.supervisor
    names = supervisor.names
    with ThreadPoolExecutor(len(names) + 2) as pool:
        servers = [pool.submit(server.kill) for server in (stack.kafka, stack.postgres)]
        pids = dict(zip(names, pool.map(lambda name: _kill(supervisor, name), names), strict=True))
        for killed in servers:
            killed.result()
        for started in [pool.submit(server.start) for server in (stack.kafka, stack.postgres)]:
            started.result()
    return {name: pid for name, pid in pids.items() if pid is not None}


def _kill(supervisor: Supervisor, name: str) -> int | None:
    # One that had died by itself a moment ago is not there to be killed.
    with contextlib.suppress(NotRunning):
        return supervisor.kill(name)
    return None


class Remembered:
    """The broker's data as they are now, to be put back later: what was acknowledged since is then lost."""

    def __init__(self, stack: Stack) -> None:
        self._data = Path(stack.folder) / "kafka" / "data"
        self._copy = self._data.with_name("remembered")
        self._stack = stack
        with frozen(stack.kafka):
            shutil.rmtree(self._copy, ignore_errors=True)
            self._clone(self._data, self._copy)

    @staticmethod
    def _clone(source: Path, target: Path) -> None:
        # Index files are sparse: 10 MB each where a few bytes are used.
        subprocess.run(["cp", "-a", "--sparse=always", str(source), str(target)], check=True)

    def put_back(self) -> None:
        """The broker is killed, forgets, and starts again."""
        self._stack.kafka.kill()
        shutil.rmtree(self._data)
        self._clone(self._copy, self._data)
        self._stack.kafka.start()
