"""A terminal of the deployment: runs what the page says, word for word, with this machine's programs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path

from tests.e2e.operating.page import blocks
from tests.e2e.operating.scenery import Company

from deskline_local.deployment import SERVICES
from deskline_local.postgres import programs
from deskline_local.system import System

SECONDS = 90
Scenario = Callable[[Company, "Terminal"], None]


def runs(*names: str) -> Callable[[Scenario], Scenario]:
    """Which blocks of the page a scenario runs; it fails where it runs others."""

    def marked(test: Scenario) -> Scenario:
        @wraps(test)
        def scenario(company: Company, terminal: "Terminal") -> None:
            test(company, terminal)
            assert terminal.ran == frozenset(names)

        scenario.blocks = frozenset(names)  # type: ignore[attr-defined]
        return scenario

    return marked


@dataclass(frozen=True, slots=True)
class Done:
    """How a block ended, and what it printed."""

    code: int
    told: str
    complained: str


@dataclass
class Terminal:
    """Runs the page's blocks in a folder of its own; `ran` are their names."""

    system: System
    folder: Path
    ran: set[str] = field(default_factory=set)

    def run(self, name: str, *, ends_with: int = 0, **variables: str) -> Done:
        """Run a block with these variables set; fails where its exit code is another."""
        self.ran.add(name)
        done = subprocess.run(
            ["sh", "-eu", "-c", blocks()[name]],
            env=self._environment() | variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == ends_with, (
            f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def _environment(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for service in SERVICES:
            found |= self.system.deployment.environment(service)
        found["PATH"] = os.pathsep.join(
            str(folder) for folder in (self._own(), Path(sys.executable).parent, programs())
        )
        found["PATH"] += os.pathsep + os.environ.get("PATH", os.defpath)
        return found

    def _own(self) -> Path:
        """Kafka's own tools are scripts around Java, which the local stack leaves out."""
        folder = self.folder / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "kafka-topics.sh"
        if not script.exists():
            source = Path(__file__).with_name("kafka_topics.py")
            script.write_text(f"#!{sys.executable}\n{source.read_text(encoding='utf-8')}", encoding="utf-8")
            script.chmod(0o755)
        assert shutil.which("pg_dump", path=str(programs())), "the local stack has no pg_dump"
        return folder
