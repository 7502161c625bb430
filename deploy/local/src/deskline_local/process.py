"""One child process: started, watched and reaped by a thread of its own, and gone when this process is."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LAUNCHER = Path(__file__).with_name("launch.py")
SAME_START = 1.5  # seconds; psutil derives start times from the boot time, which moves a little


@dataclass(frozen=True)
class Account:
    """The user that a server runs as."""

    uid: int
    gid: int


SELF = Account(-1, -1)


def launched(command: Sequence[str], account: Account = SELF) -> list[str]:
    """The command as the launcher takes it; to be started from a thread that outlives it."""
    prefix = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(account.uid), str(account.gid)]
    return [*prefix, *command]


class Child:
    """A running command, in a session of its own.

    The thread that starts it lives exactly as long as it does: the kernel's parent-death signal, by which
    a child can't outlive a killed parent, is tied to the starting *thread*.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: Account = SELF,
        on_exit: Callable[["Child"], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.log = log
        self.exit_code: int | None = None
        self.peak_rss = 0
        self._on_exit = on_exit
        self._lock = threading.Lock()  # guards the pid: no signal once it may be somebody else's
        self._spawned = threading.Event()
        self._ended = threading.Event()
        self._failure: OSError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(
            target=self._keep,
            args=(launched(command, account), env, cwd),
            name=f"keeper of {name}",
            daemon=True,
        )
        self._keeper.start()
        self._spawned.wait()
        if self._failure is not None:
            raise self._failure

    def _keep(self, command: list[str], env: Mapping[str, str] | None, cwd: Path | None) -> None:
        try:
            with self.log.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - commands of our own
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in a terminal is for us, who stop them in order
                    env=None if env is None else dict(env),
                    cwd=cwd,
                )
        except OSError as failure:
            self._failure = failure
            self._ended.set()
            self._spawned.set()
            return
        self._process = process
        self._spawned.set()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            _, status, usage = os.wait4(process.pid, 0)
            self.exit_code = process.returncode = os.waitstatus_to_exitcode(status)
        scale = 1 if sys.platform == "darwin" else 1024
        self.peak_rss = max(self.peak_rss, usage.ru_maxrss * scale)
        self._ended.set()
        self._on_exit(self)

    @property
    def pid(self) -> int:
        if self._process is None:
            message = f"{self.name} was never started"
            raise RuntimeError(message)
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it ended in time."""
        return self._ended.wait(timeout)

    def join(self) -> None:
        """Wait for the end of the keeper too, so that no thread is left."""
        if threading.current_thread() is not self._keeper:
            self._keeper.join()

    def send(self, number: signal.Signals) -> None:
        """Send to the process alone, if it still lives."""
        with self._lock:
            if self.exit_code is None:
                os.kill(self.pid, number)

    def send_group(self, number: signal.Signals) -> None:
        with self._lock:
            if self.exit_code is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, number)

    def family(self) -> list[psutil.Process]:
        """Its living descendants, whatever session they are in."""
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def pause(self) -> None:
        """Stop the parent first: what is stopped forks no more."""
        self.send(signal.SIGSTOP)
        _signal_each(self.family(), signal.SIGSTOP)

    def resume(self) -> None:
        _signal_each(self.family(), signal.SIGCONT)
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """End it and every descendant with SIGKILL and reap it."""
        self.send(signal.SIGSTOP)
        family = self.family()
        self.send_group(signal.SIGKILL)
        _signal_each(family, signal.SIGKILL)
        self._ended.wait()
        await_gone(family)
        self.join()

    def stop(self, number: signal.Signals, grace: float) -> None:
        """Ask it to end, and kill it when it hasn't after the grace period in seconds."""
        family = self.family()
        self.send(number)
        self.resume()
        if not self.wait(grace):
            self.kill()
        _signal_each([left for left in family if _living(left)], signal.SIGKILL)
        await_gone(family)
        self.join()

    def measure(self) -> int:
        """The peak of its resident memory and its living descendants' in bytes, the highest seen so far."""
        if self.alive:
            pids = [self.pid, *(relative.pid for relative in self.family())]
            self.peak_rss = max(self.peak_rss, sum(_high_water(pid) for pid in pids))
        return self.peak_rss


def _high_water(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _signal_each(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _living(process: psutil.Process) -> bool:
    """Whether any of its threads runs: the first may be a zombie while others still hold a port."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and (
            process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
        )
    return False


def await_gone(processes: list[psutil.Process], timeout: float = 10.0) -> None:
    """Wait until none of them runs; a zombie that its new parent hasn't reaped yet runs no more."""
    never = threading.Event()
    for _ in range(int(timeout / 0.01)):
        processes = [process for process in processes if _living(process)]
        if not processes:
            return
        never.wait(0.01)


def record(path: Path, pid: int) -> None:
    """Note whose process this is, for whoever finds the folder after a crash."""
    path.write_text(json.dumps({"pid": pid, "created": psutil.Process(pid).create_time()}), encoding="utf-8")


def end_recorded(path: Path) -> bool:
    """Kill what a killed predecessor left running; only if pid and start time are those recorded."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        process = psutil.Process(int(noted["pid"]))
        ours = abs(process.create_time() - float(noted["created"])) < SAME_START
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        ours = False
    if ours:
        end_all([process, *process.children(recursive=True)])
    path.unlink(missing_ok=True)
    return ours


def end_all(processes: list[psutil.Process]) -> None:
    _signal_each(processes, signal.SIGSTOP)
    _signal_each(processes, signal.SIGKILL)
    await_gone(processes)


def tail(path: Path, lines: int = 25) -> str:
    """The end of a log, for an error's message."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
