"""The checker is tested too: every planted mistake is caught, and without one the judges find nothing."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest
from tests.chaos.backbone.system import Deployment, Kept
from tests.chaos.plants import PLANTS
from tests.chaos.plants.on_backbone import SCENES as ON_BACKBONE
from tests.chaos.plants.on_system import SCENES as ON_SYSTEM
from tests.chaos.plants.on_system import Company, Launcher
from tests.judging import everything
from tests.judging.records import Findings

from deskline_local.deployment import Doors
from deskline_local.office import Office
from deskline_local.stack import Stack, open_stack
from deskline_local.system import System

pytestmark = [pytest.mark.plants, pytest.mark.timeout(240)]

TARGETED_SECONDS = 60.0
SETTLED_SECONDS = 60.0


@dataclass
class Table:
    """What became of the plants that were tried, and of the runs without one."""

    caught: dict[str, tuple[list[str], float]] = field(default_factory=dict)
    clean: list[float] = field(default_factory=list)

    def note(self, name: str, findings: Findings, seconds: float) -> None:
        self.caught[name] = sorted(findings.wrong), seconds

    def __str__(self) -> str:
        lines = [
            f"{name:30} {seconds:4.0f} s  {', '.join(promises) or 'NOT CAUGHT'}"
            for name, (promises, seconds) in self.caught.items()
        ]
        count = sum(bool(promises) for promises, _ in self.caught.values())
        clean = f"{len(self.clean)} clean runs without a finding, at most {max(self.clean, default=0):.0f} s"
        return "\n".join(["", *lines, f"{count} of {len(self.caught)} caught; {clean}"])


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    noted = Table()
    yield noted
    captured = request.config.pluginmanager.getplugin("capturemanager")
    assert captured is not None
    with captured.global_and_fixture_disabled():
        sys.stdout.write(f"{noted}\n")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(tmp_path_factory.mktemp("stack"), "processes") as running:
        yield running


@pytest.fixture(scope="module")
def kept(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Writers and followers without a plant, for one run after the other."""
    keeper = Kept(stack, lambda: tmp_path_factory.mktemp("clean"))
    yield keeper
    keeper.end()


@pytest.mark.parametrize("name", ON_BACKBONE)
def test_backbone_is_clean(name: str, kept: Kept, table: Table) -> None:
    clean, began = kept.started(), time.monotonic()
    unreadable = ON_BACKBONE[name].provoke(clean)
    clean.settle(planted=unreadable)
    # The next run knows nothing of them.
    clean.sound = not unreadable
    table.clean.append(time.monotonic() - began)


@contextmanager
def planted(stack: Stack, folders: pytest.TempPathFactory, script: str, name: str) -> Iterator[Deployment]:
    deployment = Deployment(stack, folders.mktemp(name), {script: name})
    try:
        deployment.start()
        yield deployment
    finally:
        deployment.end()


@pytest.mark.parametrize("name", ON_BACKBONE)
def test_backbone_is_caught(
    name: str, stack: Stack, table: Table, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stack.start()
    scene, began = ON_BACKBONE[name], time.monotonic()
    with planted(stack, tmp_path_factory, scene.script, name) as deployment:
        unreadable = scene.provoke(deployment)
        deployment.come_to_a_stop()
        findings = deployment.look(unreadable)
    judge(name, scene.shown_by, findings, time.monotonic() - began, table)


@pytest.fixture(scope="module")
def company(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    stack.start()
    launcher = Launcher()
    system = System(tmp_path_factory.mktemp("system"), Doors.anywhere(), stack=stack, launch=launcher)
    with system, closing(Office(system)) as office:
        yield Company(system, office, launcher)


def play(company: Company, name: str, line: str) -> Findings:
    """Provoke it, and judge all that became of it."""
    judge = ON_SYSTEM[name].provoke(company, line)
    findings, _ = everything.at_rest(company.system, (), SETTLED_SECONDS, judge)
    return findings


@pytest.mark.parametrize("name", ON_SYSTEM)
def test_system_is_clean(name: str, company: Company, table: Table) -> None:
    company.plant(ON_SYSTEM[name].service, None)
    began = time.monotonic()
    findings = play(company, name, f"clean-{name.replace('_', '-')}")
    assert not findings.wrong, findings.table()
    table.clean.append(time.monotonic() - began)


@pytest.mark.parametrize("name", ON_SYSTEM)
def test_system_is_caught(name: str, company: Company, table: Table) -> None:
    scene, began = ON_SYSTEM[name], time.monotonic()
    company.plant(scene.service, name)
    findings = play(company, name, name.replace("_", "-"))
    judge(name, scene.shown_by, findings, time.monotonic() - began, table)


def judge(name: str, shown_by: set[str], findings: Findings, seconds: float, table: Table) -> None:
    """Caught, and by the promise that it breaks: any other finding may be about something else."""
    table.note(name, findings, seconds)
    promises = {found.split()[0] for found in findings.wrong}
    assert shown_by <= promises, f"{PLANTS[name].mistake}: not caught\n{findings.table()}"
    assert seconds <= TARGETED_SECONDS
