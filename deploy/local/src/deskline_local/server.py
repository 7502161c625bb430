"""What every server of the stack can do, and how one that is a child process of ours does it."""

import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deskline_local.errors import NotRunning, StartFailed, StillRunning
from deskline_local.process import SELF, Account, Child, end_recorded, record, tail

START_DEADLINE = 60.0  # seconds
STOP_GRACE = 15.0
POLL = 0.02

Progress = Callable[[str], None]
Claim = Callable[[], None]  # fails if another process runs a stack in this folder


def _free_for_all() -> None:
    pass


class Server(Protocol):
    """One server of the stack."""

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def running(self) -> bool: ...
    def start(self) -> None:
        """Idempotent; returns when the server answers."""

    def stop(self) -> None:
        """Ask it to end in order, and kill it after 15 s."""

    def kill(self) -> None:
        """SIGKILL for the server and all its processes, reaped on return."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def wipe(self) -> None:
        """Remove its data; only when it is down."""

    def written(self) -> dict[Path, bytes]:
        """What it wrote that is to be read as it is: its log, and Kafka's segments; by relative paths."""


@dataclass(frozen=True)
class Launch:
    """How to start the process."""

    command: list[str]
    env: Mapping[str, str] | None = None
    account: Account = SELF


class ProcessServer(ABC):
    """A server as a child process with a folder of its own."""

    stop_signal = signal.SIGTERM

    def __init__(self, name: str, folder: Path, progress: Progress, claim: Claim = _free_for_all) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._output = folder / f"{name}.out"
        self._record = folder / f"{name}.pid"
        self._progress = progress
        self._claim = claim
        self._child: Child | None = None
        self._lock = threading.RLock()

    @abstractmethod
    def prepare(self) -> Launch:
        """Make data and settings ready."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether this very server, not another on its port, serves requests."""

    @abstractmethod
    def require_port(self) -> None:
        """Fail if somebody else listens on the port."""

    @abstractmethod
    def wipe(self) -> None:
        """Remove the data; only when the server is down."""

    def end_leftovers(self) -> None:
        """End what a killed predecessor left running in this folder."""
        if end_recorded(self._record):
            self._progress(f"ended a {self.name} that an earlier run left behind in {self.folder}")

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int:
        return self._living().pid

    def _living(self) -> Child:
        if self._child is None or not self._child.alive:
            message = f"{self.name} isn't running"
            raise NotRunning(message)
        return self._child

    def start(self) -> None:
        with self._lock:
            if self.running:
                return
            self._claim()
            deadline = time.monotonic() + START_DEADLINE
            self.folder.mkdir(parents=True, exist_ok=True)
            self.end_leftovers()
            self.require_port()
            launch = self.prepare()
            child = Child(self.name, launch.command, self._output, env=launch.env, account=launch.account)
            self._child = child
            try:
                record(self._record, child.pid)
                self._await_answer(child, deadline)
            except BaseException:
                child.kill()
                raise

    def _await_answer(self, child: Child, deadline: float) -> None:
        while not self.answers():
            if child.wait(POLL):
                self._fail(f"{self.name} ended while starting (exit code {child.exit_code})")
            if time.monotonic() > deadline:
                self._fail(f"{self.name} didn't answer within {START_DEADLINE:.0f} s")

    def _fail(self, what: str) -> None:
        logs = dict.fromkeys((self._output, self.log))  # one and the same for PostgreSQL
        ends = "\n".join(tail(log) for log in logs)
        message = f"{what}; the end of {self.log}:\n{ends}"
        raise StartFailed(message)

    def stop(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.stop(self.stop_signal, STOP_GRACE)
                self._record.unlink(missing_ok=True)

    def kill(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def pause(self) -> None:
        self._living().pause()

    def resume(self) -> None:
        self._living().resume()

    def written(self) -> dict[Path, bytes]:
        files = [path for path in self.folder.rglob("*.log*") if path.is_file()]
        return {path.relative_to(self.folder.parent): path.read_bytes() for path in files}

    def require_down(self) -> None:
        if self.running:
            message = f"{self.name} is running: stop or kill it before its data is wiped"
            raise StillRunning(message)
