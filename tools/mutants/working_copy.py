"""The folder outside the tree in which a part's code is mutated and its unit tests run."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.mutants.parts import Part

ROOT: Final = Path(__file__).parents[2]

# In the copy nothing of the tree is importable but what is installed and what mutates.
LAUNCH: Final = (
    f"import sys; sys.path.append({str(ROOT)!r}); from tools.mutants.mutating import main;"
    f" sys.path.remove({str(ROOT)!r}); main()"
)

# By the clock, for what waits instead of computing: far off, since the machine may be busy with other things.
TIMEOUT: Final = {"timeout_multiplier": 60.0, "timeout_constant": 5.0}

# The same examples for each mutant and in each run, however slow the machine is; and few, since most mutants
# are caught by cases.
CONFTEST: Final = '''"""Examples by chance would make a mutant's fate chance."""

from hypothesis import HealthCheck, settings

FEW = 20
settings.register_profile(
    "mutants", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("mutants")


def pytest_collection_modifyitems(items):
    for item in items:
        for holder, name in ((item.obj, "_hypothesis_internal_use_settings"), (item.cls, "settings")):
            own = getattr(holder, name, None)
            if isinstance(own, settings):
                few = settings(own, max_examples=min(own.max_examples, FEW), derandomize=True, database=None)
                setattr(getattr(holder, "__func__", holder), name, few)
'''


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """A part's sources and unit tests, and what mutmut made of them so far."""

    part: Part
    folder: Path

    @classmethod
    def of(cls, part: Part) -> "WorkingCopy":
        above = Path(
            os.environ.get("DESKLINE_MUTANTS") or Path(tempfile.gettempdir()) / f"mutants-{os.getuid()}"
        )
        return cls(part, above / part.name)

    def refresh(self) -> None:
        """Brings what changed in the tree; then mutants that lived so far are tried again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _mirror(ROOT / self.part.folder / "src", self.folder / "src")
        tests = self.part.folder / "tests"
        for path in [self.folder / tests, self.folder / "mutants" / tests]:
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(
            ROOT / tests, self.folder / tests, ignore=shutil.ignore_patterns("component", "__pycache__")
        )
        (self.folder / "conftest.py").write_text(CONFTEST)
        (self.folder / "pyproject.toml").write_text(self._configuration())
        (self.folder / "only.json").write_text(json.dumps(dict(self.part.only)))
        noted, now = (
            self.folder / "tree.sha256",
            _hash_of(self.folder / "src") + _hash_of(self.folder / tests),
        )
        if not noted.exists() or noted.read_text() != now:
            (self.folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
            if (self.folder / "mutants").exists():
                self._mutmut("try-again")
        noted.write_text(now)

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, processes: int, sample: int = 100) -> None:
        """Tries each mutant that was not tried yet, of so many in a hundred; raises CalledProcessError."""
        self._mutmut("run", "--max-children", str(processes), sample=sample)

    def outcome(self) -> list[dict[str, str]]:
        told: list[dict[str, str]] = json.loads(self._mutmut("outcome", capture=True))
        return told

    def _mutmut(self, *arguments: str, capture: bool = False, sample: int = 100) -> str:
        command = [sys.executable, "-c", LAUNCH, *arguments]
        done = subprocess.run(  # noqa: S603  # the command is ours
            command,
            cwd=self.folder,
            check=True,
            text=True,
            stdout=subprocess.PIPE if capture else None,
            env={**os.environ, "SAMPLE": str(sample)},
        )
        return done.stdout if capture else ""

    def _configuration(self) -> str:
        pytest = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
        tests = self.part.folder / "tests" / "unit"
        left_out = [f"--deselect={tests / name}" for name in self.part.left_out]
        mutmut = {
            "source_paths": ["src"],
            "only_mutate": [f"src/{pattern}" for pattern in self.part.mutated],
            "also_copy": [str(self.part.folder), "conftest.py"],
            "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist", *left_out],
            "pytest_add_cli_args_test_selection": [str(tests / name) for name in self.part.tests],
            "use_git_change_detection": False,
            **TIMEOUT,
        }
        pytest = {name: value for name, value in pytest.items() if name != "testpaths"}
        return _toml("tool.pytest.ini_options", pytest) + _toml("tool.mutmut", mutmut)


def _toml(table: str, values: dict[str, Any]) -> str:
    # JSON's strings, numbers, booleans and lists of them are TOML's too.
    return f"[{table}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def _mirror(source: Path, target: Path) -> None:
    """Copies what differs, under the time of now: mutmut goes by that."""
    wanted = {
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for path in [path for path in target.rglob("*") if path.is_file()]:
        if path.relative_to(target) not in wanted:
            path.unlink()
    for name in wanted:
        copy = target / name
        content = (source / name).read_bytes()
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)


def _hash_of(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
