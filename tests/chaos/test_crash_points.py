"""Crash points: each lies over a function that the product has, is passed there, and kills."""

import asyncio
import importlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock
from uuid import uuid4

import pytest
from tests.chaos.faults import crash_points
from tests.chaos.faults.crash_points import POINTS, MisplacedError, WrongPointsError, arm, killed_at, parse

from deskline_chassis import deadlines, inbox
from deskline_chassis.announcing import Announcer
from deskline_chassis.applying import Applier, Outcome, ReaderSpec
from deskline_chassis.deadlines import Deadline
from deskline_chassis.reader import Reader
from deskline_chassis.relay_state import RelayState
from deskline_intake.channels.forms import FormDoor
from deskline_local.deployment import SERVICES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


@dataclass
class Deaths:
    """Stands in for the kill: how often it came."""

    count: int = 0
    placed: list[str] = field(default_factory=list)

    def die(self) -> None:
        self.count += 1


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> Deaths:
    """What is armed in a test is gone after it."""
    deaths = Deaths()

    def put(holder: Any, name: str, value: object) -> None:
        deaths.placed.append(name)
        monkeypatch.setattr(holder, name, value)

    monkeypatch.setattr(crash_points, "die", deaths.die)
    monkeypatch.setattr(crash_points, "_put", put)
    return deaths


def applier(apply: Callable[..., None] = lambda *_: None) -> Applier:
    spec = ReaderSpec("deskline.test", ("tickets",), (), frozenset(), apply)
    return Applier(spec, MagicMock(), MagicMock(), {}, frozenset())


def test_text_names_points_and_spans() -> None:
    assert parse("effect-commit:5-90, told-commit:1-1") == {"effect-commit": (5, 90), "told-commit": (1, 1)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nowhere:1-2",
        "told-commit",
        "told-commit:3",
        "told-commit:0-2",
        "told-commit:3-2",
        "told-commit:a-b",
    ],
)
def test_wrong_text_is_refused(text: str) -> None:
    with pytest.raises(WrongPointsError):
        arm(text)


def test_point_named_twice_is_refused() -> None:
    with pytest.raises(WrongPointsError, match="once"):
        arm("told-commit:1-2,told-commit:3-4")


def test_every_point_is_placed_and_belongs_to_services_that_exist(deaths: Deaths) -> None:
    arm(",".join(f"{point}:1-1" for point in POINTS))
    assert len(deaths.placed) >= len(POINTS)
    assert set().union(*POINTS.values()) <= set(SERVICES)


@pytest.mark.parametrize(
    ("module", "name", "point"),
    [
        ("deskline_chassis.applying", "Applier", "effect-commit"),
        ("deskline_chassis.inbox", "write_positions", "effect-commit"),
        ("deskline_chassis.reader", "Reader", "commit-offset"),
        ("deskline_chassis.announcing", "Announcer", "commit-publish"),
        ("deskline_chassis.relay_state", "RelayState", "publish-mark"),
        ("deskline_intake.channels.smtp", "store_units", "accept-commit"),
        ("deskline_intake.channels.forms", "FormDoor", "accept-commit"),
        ("deskline_notify.channels.email", "commit_verdicts", "told-commit"),
        ("deskline_chassis.deadlines", "record_fired", "fire-commit"),
    ],
)
def test_renamed_function_of_the_product_is_noticed(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch, module: str, name: str, point: str
) -> None:
    monkeypatch.delattr(importlib.import_module(module), name)
    with pytest.raises(MisplacedError, match=name):
        arm(f"{point}:1-1")


def test_nth_passing_kills_and_no_other_does(deaths: Deaths, capfd: pytest.CaptureFixture[str]) -> None:
    arm("effect-commit:3-3")
    spec = applier().spec
    spec.apply(MagicMock(), [])
    spec.apply(MagicMock(), [])
    assert deaths.count == 0
    spec.apply(MagicMock(), [])
    spec.apply(MagicMock(), [])
    assert deaths.count == 1
    assert '"point": "effect-commit"' in capfd.readouterr().err


def test_number_is_drawn_within_its_span(deaths: Deaths) -> None:
    drawn = {crash_points.parse("told-commit:4-6")["told-commit"]}
    assert drawn == {(4, 6)}
    for _ in range(20):
        before = deaths.count
        arm("effect-commit:2-4")
        spec = applier().spec
        spec.apply(MagicMock(), [])
        assert deaths.count == before
        for _ in range(3):
            spec.apply(MagicMock(), [])
        assert deaths.count == before + 1


def test_effect_is_passed_after_the_handler_and_after_the_positions(deaths: Deaths) -> None:
    seen: list[int] = []
    arm("effect-commit:1-1")
    applier(lambda *_: seen.append(deaths.count)).spec.apply(MagicMock(), [])
    assert (seen, deaths.count) == ([0], 1)
    arm("effect-commit:2-2")
    spec, connection = applier().spec, MagicMock()
    inbox.write_positions(connection, "reader", {})
    assert deaths.count == 1, "positions without an effect are no passing"
    spec.apply(MagicMock(), [])
    inbox.write_positions(connection, "reader", {})
    assert deaths.count == 2
    assert connection.execute.call_count == 2


def test_offset_is_passed_when_something_was_committed(deaths: Deaths) -> None:
    arm("commit-offset:1-1")
    reader: Any = Reader(applier().spec, MagicMock(), MagicMock(), MagicMock(), instance="0")
    consumer = MagicMock()
    consumer.commit = AsyncMock()
    consumer.assignment.return_value = set()
    asyncio.run(reader._follow(consumer, Outcome()))
    assert deaths.count == 0
    asyncio.run(reader._follow(consumer, Outcome(committed={("topic", 0): 7})))
    assert deaths.count == 1


def test_publishing_is_passed_before_anything_is_sent(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(Announcer, "send", lambda *_: _noted(told, deaths))
    arm("commit-publish:1-1")
    announcer: Any = Announcer.__new__(Announcer)
    asyncio.run(announcer.send([], [], None))
    assert (told, deaths.count) == ([0], 0)
    asyncio.run(announcer.send([SimpleNamespace()], [], None))
    assert told == [0, 1]


async def _noted(told: list[int], deaths: Deaths) -> None:
    told.append(deaths.count)


def test_marking_is_passed_after_the_acknowledgement(deaths: Deaths) -> None:
    arm("publish-mark:1-1")
    connection = MagicMock()
    connection.execute = AsyncMock(return_value=SimpleNamespace(rowcount=1))
    state = RelayState(connection, term=1, epoch=1, generation=1, position=0, keys_position=0)
    asyncio.run(state.advance(0, 0, {}))
    assert deaths.count == 0
    asyncio.run(state.advance(1, 0, {"topic/0": (1, "id")}))
    assert deaths.count == 1


def test_door_is_passed_when_a_mail_is_stored(deaths: Deaths, monkeypatch: pytest.MonkeyPatch) -> None:
    smtp = importlib.import_module("deskline_intake.channels.smtp")
    outcomes: list[Exception | None] = [OSError("away")]

    def store(_database: Any, _units: Any) -> list[Exception | None]:
        return list(outcomes)

    monkeypatch.setattr(smtp, "store_units", store)
    arm("accept-commit:1-1")
    door = smtp.SmtpDoor(MagicMock(smtp_in_flight_bytes=1), MagicMock(), MagicMock(), MagicMock())
    door._store([])
    assert deaths.count == 0
    outcomes.append(None)
    door._store([])
    assert deaths.count == 1
    asyncio.run(door._close())


@pytest.mark.parametrize(("outcomes", "passed"), [([False, OSError("away")], 0), ([False, True], 1)])
def test_door_is_passed_when_a_form_is_stored(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch, outcomes: list[bool | Exception], passed: int
) -> None:
    def store(_self: FormDoor, _posts: Any) -> list[bool | Exception]:
        return outcomes

    monkeypatch.setattr(FormDoor, "_store", store)
    arm("accept-commit:1-1")
    door = FormDoor(MagicMock(), MagicMock(), MagicMock(), MagicMock())
    assert door._store([]) == outcomes
    assert deaths.count == passed


@pytest.mark.parametrize(("outcomes", "passed"), [(["deferred"], 0), (["deferred", "sent"], 1)])
def test_telling_is_passed_when_the_provider_took_a_mail(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch, outcomes: list[str], passed: int
) -> None:
    email = importlib.import_module("deskline_notify.channels.email")
    before: list[int] = []

    def commit(_database: Any, _log: Any, _verdicts: Any) -> None:
        before.append(deaths.count)

    monkeypatch.setattr(email, "commit_verdicts", commit)
    arm("told-commit:1-1")
    email.commit_verdicts(None, None, [SimpleNamespace(outcome=outcome) for outcome in outcomes])
    assert (before, deaths.count) == ([passed], passed)


@pytest.mark.parametrize(("waits", "passed"), [(True, 0), (False, 1)])
def test_firing_is_passed_when_something_is_fired(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch, waits: bool, passed: int
) -> None:
    now = datetime.now(UTC)
    due = Deadline("step", uuid4(), "breach", 1, now)

    @contextmanager
    def transaction() -> Iterator[Any]:
        yield SimpleNamespace(execute=lambda *_: SimpleNamespace(fetchone=lambda: (now,)))

    def fire(*_: Any) -> list[Deadline]:
        return [due] if waits else []

    monkeypatch.setattr(deadlines, "still_due", lambda *_: [due])
    arm("fire-commit:1-1")
    deadlines._Firing(MagicMock(transaction=transaction), MagicMock(), {"step": fire})._decide([due])
    assert deaths.count == passed


def test_process_is_killed_and_its_log_tells_where(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    script = (
        "from tests.chaos.faults import crash_points\n"
        "from deskline_chassis.applying import Applier, ReaderSpec\n"
        "crash_points.arm('effect-commit:2-2')\n"
        'def apply(*_): print(\'{"event": "applied"}\', flush=True)\n'
        "applier = Applier(ReaderSpec('r', (), (), frozenset(), apply), None, None, {}, frozenset())\n"
        "for _ in range(5): applier.spec.apply(None, [])\n"
    )
    with log.open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=out, stderr=out, cwd=ROOT, check=False, timeout=60
        )
    assert done.returncode == -signal.SIGKILL
    assert log.read_text().count("applied") == 2
    assert killed_at(log) == {"effect-commit": 1}
    assert killed_at(tmp_path / "none.log") == {}
