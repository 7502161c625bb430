"""Keeps named processes running: what dies is started again, what is stopped stays so."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import Self

from deskline_local.errors import NotRunning
from deskline_local.process import Child

STOP_GRACE = 10.0  # seconds
MEASURE_EVERY = 0.5


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait before the next start: doubling, and from the first again after a healthy life."""

    first: float = 0.2
    longest: float = 5.0
    healthy_after: float = 10.0

    def after(self, last: float, lived: float) -> float:
        """The wait after a life of that length, given the wait before it (0 for none)."""
        if last == 0 or lived >= self.healthy_after:
            return self.first
        return min(last * 2, self.longest)


@dataclass
class _Charge:
    """What the supervisor knows of one process."""

    command: Sequence[str]
    log: Path
    env: Mapping[str, str] | None
    cwd: Path | None
    child: Child | None = None
    restarts: int = 0
    exit_codes: list[int] = field(default_factory=list)
    started: float = 0.0
    wait: float = 0.0
    due: float | None = None
    peak_rss: int = 0


class Supervisor:
    """Starts, watches, restarts, kills and stops child processes; none outlives this one."""

    def __init__(
        self, backoff: Backoff | None = None, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        self._backoff = backoff or Backoff()
        self._progress = progress
        self._charges: dict[str, _Charge] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._monitor: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> int:
        """Start a process under this name, output appended to the log; its pid."""
        with self._changed:
            if self._closing:
                message = "the supervisor is stopping"
                raise NotRunning(message)
            if name in self._charges:
                message = f"{name} is supervised already"
                raise ValueError(message)
            log.parent.mkdir(parents=True, exist_ok=True)
            charge = _Charge(list(command), log, env, cwd)
            child = self._launch(name, charge)
            self._charges[name] = charge
            if self._monitor is None:
                self._monitor = threading.Thread(target=self._watch, name="supervisor", daemon=True)
                self._monitor.start()
            return child.pid

    def _launch(self, name: str, charge: _Charge) -> Child:
        charge.child = Child(
            name, charge.command, charge.log, env=charge.env, cwd=charge.cwd, on_exit=self._notify
        )
        charge.started = time.monotonic()
        charge.due = None
        return charge.child

    def _notify(self, _: Child) -> None:
        with self._changed:
            self._changed.notify_all()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                now = time.monotonic()
                for name, charge in self._charges.items():
                    self._look_after(name, charge, now)
                dues = [charge.due for charge in self._charges.values() if charge.due is not None]
                self._changed.wait(max(0.0, min([MEASURE_EVERY, *(due - now for due in dues)])))
            self._measure()

    def _look_after(self, name: str, charge: _Charge, now: float) -> None:
        child = charge.child
        if child is not None and not child.alive:
            charge.child = None
            charge.peak_rss = max(charge.peak_rss, child.peak_rss)
            charge.exit_codes.append(child.exit_code or 0)
            charge.wait = self._backoff.after(charge.wait, now - charge.started)
            charge.due = now + charge.wait
            self._progress(f"{name} ended with {child.exit_code}: starting again in {charge.wait:.1f} s")
        if charge.due is not None and now >= charge.due:
            try:
                self._launch(name, charge)
            except OSError as failure:
                charge.wait = self._backoff.after(charge.wait, 0)
                charge.due = now + charge.wait
                self._progress(f"{name} can't be started: {failure}")
            else:
                charge.restarts += 1
                self._changed.notify_all()

    def _measure(self) -> None:
        with self._changed:
            living = [(charge, charge.child) for charge in self._charges.values() if charge.child is not None]
        for charge, child in living:
            charge.peak_rss = max(charge.peak_rss, child.measure())

    @property
    def names(self) -> list[str]:
        with self._changed:
            return list(self._charges)

    def pid(self, name: str) -> int | None:
        """The living process's pid; None between a death and the restart."""
        child = self._charges[name].child
        return child.pid if child is not None and child.alive else None

    def restarts(self, name: str) -> int:
        return self._charges[name].restarts

    def exit_codes(self, name: str) -> list[int]:
        """How its earlier lives ended, negative for signals."""
        with self._changed:
            return list(self._charges[name].exit_codes)

    def peak_rss(self, name: str) -> int:
        """The most resident memory of the process with its descendants, in bytes, over all its lives."""
        charge = self._charges[name]
        if (child := charge.child) is not None:
            charge.peak_rss = max(charge.peak_rss, child.measure())
        return charge.peak_rss

    def kill(self, name: str) -> int:
        """SIGKILL its process group and return the pid that died; the supervisor starts it again."""
        child = self._charges[name].child
        if child is None or not child.alive:
            message = f"{name} isn't running"
            raise NotRunning(message)
        child.send_group(SIGKILL)
        child.wait()
        return child.pid

    def pause(self, name: str) -> None:
        if (child := self._charges[name].child) is not None:
            child.pause()

    def resume(self, name: str) -> None:
        if (child := self._charges[name].child) is not None:
            child.resume()

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait for something that a death or a restart changes."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def remove(self, name: str, grace: float = STOP_GRACE) -> None:
        """Stop one for good and forget it."""
        with self._changed:
            charge = self._charges.pop(name)
        if charge.child is not None:
            charge.child.stop(SIGTERM, grace)

    def stop(self, grace: float = STOP_GRACE) -> None:
        """Stop all at the same time, killing what lives after the grace period; no thread is left behind."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._monitor is not None:
            self._monitor.join()
            self._monitor = None
        children = [charge.child for charge in self._charges.values() if charge.child is not None]
        if children:
            with ThreadPoolExecutor(len(children)) as pool:
                list(pool.map(lambda child: child.stop(SIGTERM, grace), children))
        for charge in self._charges.values():
            if (child := charge.child) is not None:
                charge.peak_rss = max(charge.peak_rss, child.peak_rss)
