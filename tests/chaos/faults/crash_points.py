"""Named moments at which a process kills itself: between an effect and its commit, and their like.

`arm` puts them over the product's own functions in a process that has not begun yet; the product knows
nothing of them.
"""

import dataclasses
import functools
import importlib
import inspect
import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

POINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "effect-commit": ("tickets", "routing", "sla", "notify", "analytics"),
    "commit-offset": ("tickets", "routing", "sla", "notify", "analytics"),
    "commit-publish": ("intake", "tickets", "routing", "sla", "notify"),
    "publish-mark": ("intake", "tickets", "routing", "sla", "notify"),
    "accept-commit": ("intake",),
    "told-commit": ("notify",),
    "fire-commit": ("routing", "sla"),
}
"""Crash point → the services that pass it."""

KILLED: Final = "killed at a crash point"
STDERR: Final = 2


class WrongPointsError(ValueError):
    """What is to be armed is not written as it should be."""


class MisplacedError(Exception):
    """A function of the product that a crash point goes over is not there any more."""


def parse(text: str) -> dict[str, tuple[int, int]]:
    """Point → (low, high) of "point:low-high[,…]"; raises WrongPointsError."""
    found: dict[str, tuple[int, int]] = {}
    for part in text.split(","):
        point, _, span = part.strip().partition(":")
        low, _, high = span.partition("-")
        if point not in POINTS or point in found:
            raise WrongPointsError(f"{point}: name each of {', '.join(POINTS)} once")
        if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high)):
            raise WrongPointsError(f"{part}: give two numbers from 1, as in {point}:10-90")
        found[point] = int(low), int(high)
    return found


def arm(text: str) -> None:
    """Kill this process at the n-th passing of each point of "point:low-high[,…]", n drawn for this life."""
    for point, (low, high) in parse(text).items():
        _PLACED[point](_Fuse(point, random.randint(low, high)).passed)


def killed_at(log: Path) -> Counter[str]:
    """Crash point → how often a process that writes this log killed itself there."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    told = [json.loads(line) for line in lines if line.startswith("{") and KILLED in line]
    return Counter(one["point"] for one in told)


class _Fuse:
    """Counts passings over all threads, and kills at the one that was drawn."""

    def __init__(self, point: str, passings: int) -> None:
        self._point = point
        self._left = passings
        self._guard = threading.Lock()

    def passed(self) -> None:
        with self._guard:
            self._left -= 1
            if self._left == 0:
                self._tell()
                die()

    def _tell(self) -> None:
        line = {"event": KILLED, "point": self._point, "time": datetime.now(UTC).isoformat()}
        # Past all buffers: nothing is flushed any more.
        os.write(STDERR, json.dumps(line).encode() + b"\n")


def die() -> None:
    """SIGKILL to this process, with its children where it leads their group."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


Passed = Callable[[], None]
Function = Callable[..., Any]
_put = setattr


def _over(module: str, path: str, around: Callable[[Function], Function]) -> None:
    """Put something around a function of a module, by its name or `Class.name`; raises MisplacedError."""
    holder: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        holder = vars(holder).get(parent)
        if holder is None:
            raise MisplacedError(f"{module} has no {parent} any more: where is {path}?")
    there = vars(holder).get(name)
    if not inspect.isfunction(there):
        raise MisplacedError(f"{module} has no function {path} any more")
    _put(holder, name, functools.wraps(there)(around(there)))


def _effect_commit(passed: Passed) -> None:
    """A reader's handler has applied: passed after it, and where the positions are written too."""
    applied: list[bool] = []

    def with_counted_handler(create: Function) -> Function:
        def created(self: Any, *arguments: Any, **named: Any) -> None:
            create(self, *arguments, **named)
            self.spec = dataclasses.replace(self.spec, apply=counted(self.spec.apply))

        return created

    def counted(apply: Function) -> Function:
        def applied_then_passed(*arguments: Any) -> None:
            apply(*arguments)
            applied.append(True)
            passed()

        return applied_then_passed

    def with_all_written(write: Function) -> Function:
        def written(*arguments: Any) -> None:
            write(*arguments)
            if applied:
                applied.clear()
                passed()

        return written

    _over("deskline_chassis.applying", "Applier.__init__", with_counted_handler)
    _over("deskline_chassis.inbox", "write_positions", with_all_written)


def _commit_offset(passed: Passed) -> None:
    """Positions and effects are committed, and Kafka was told nothing yet."""

    def around(follow: Function) -> Function:
        async def followed(self: Any, consumer: Any, outcome: Any) -> None:
            if outcome.committed:
                passed()
            await follow(self, consumer, outcome)

        return followed

    _over("deskline_chassis.reader", "Reader._follow", around)


def _commit_publish(passed: Passed) -> None:
    """Events are committed and were read by the relay, which has sent none of them."""

    def around(send: Function) -> Function:
        async def sent(self: Any, events: Sequence[Any], *rest: Any) -> Any:
            if events:
                passed()
            return await send(self, events, *rest)

        return sent

    _over("deskline_chassis.announcing", "Announcer.send", around)


def _publish_mark(passed: Passed) -> None:
    """Kafka has acknowledged, and the relay's row says nothing of it."""

    def around(advance: Function) -> Function:
        async def advanced(self: Any, position: int, keys_position: int, acknowledged: Any) -> None:
            if acknowledged:
                passed()
            await advance(self, position, keys_position, acknowledged)

        return advanced

    _over("deskline_chassis.relay_state", "RelayState.advance", around)


def _accept_commit(passed: Passed) -> None:
    """A mail or a form is stored, and its sender has no answer."""

    def around_mails(store: Function) -> Function:
        def stored(*arguments: Any) -> Any:
            outcomes = store(*arguments)
            if None in outcomes:
                passed()
            return outcomes

        return stored

    def around_forms(store: Function) -> Function:
        def stored(self: Any, posts: Any) -> Any:
            outcomes = store(self, posts)
            if any(outcome is True for outcome in outcomes):
                passed()
            return outcomes

        return stored

    _over("deskline_intake.channels.smtp", "store_units", around_mails)
    _over("deskline_intake.channels.forms", "FormDoor._store", around_forms)


def _told_commit(passed: Passed) -> None:
    """The provider has accepted a mail, and its row says nothing of it."""

    def around(commit: Function) -> Function:
        def committed(database: Any, log: Any, verdicts: Sequence[Any]) -> None:
            if any(verdict.outcome == "sent" for verdict in verdicts):
                passed()
            commit(database, log, verdicts)

        return committed

    _over("deskline_notify.channels.email", "commit_verdicts", around)


def _fire_commit(passed: Passed) -> None:
    """A deadline is fired with all that follows from it, and not committed."""

    def around(record: Function) -> Function:
        def recorded(connection: Any, fired: Sequence[Any], now: datetime) -> None:
            record(connection, fired, now)
            if fired:
                passed()

        return recorded

    _over("deskline_chassis.deadlines", "record_fired", around)


_PLACED: Final[Mapping[str, Callable[[Passed], None]]] = {
    "effect-commit": _effect_commit,
    "commit-offset": _commit_offset,
    "commit-publish": _commit_publish,
    "publish-mark": _publish_mark,
    "accept-commit": _accept_commit,
    "told-commit": _told_commit,
    "fire-commit": _fire_commit,
}
