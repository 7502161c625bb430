"""How a mutant's tests are run: collected once for all, or with an import of their own."""

import hashlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.config import _prepareconfig
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import get_mutant_under_test
from mutmut.runners.harness import BadTestExecutionCommandsException, PytestRunner
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd, walk_mutatable_files
from mutmut.utils.format_utils import (
    get_mutant_name,
    mangled_name_from_mutant_name,
    orig_function_and_class_names_from_key,
)
from mutmut.workers.isolation import ForkRunner

MUTMUT: Final[Any] = importlib.import_module("mutmut.__main__")

AT_IMPORT: Final = Path.cwd() / "mutants" / "at-import.json"
"""Functions that were called while modules were imported."""

SKIPPED: Final = 34

# What turns in a circle uses up the processor, and this is what ends it: on a busy machine no clock would do.
CPU_FACTOR: Final = 3.0
CPU_SECONDS: Final = 8.0
ONLY: Final = Path.cwd() / "only.json"
FIGURES: Final = frozenset({"figures", "metrics"})


def put(owner: object, name: str, part: Callable[..., Any]) -> None:
    """One part in the place of another of that name."""
    setattr(owner, name, part)


class Collected:
    """The tests as pytest collected them, before any mutant's process begins."""

    session: pytest.Session | None = None

    def collect(self, runner: Any) -> None:
        with change_cwd("mutants"):
            arguments = ["--rootdir=.", "--tb=no", "-x", "-q", "-s", *runner._pytest_add_cli_args]  # noqa: SLF001
            config = _prepareconfig([*arguments, *runner._pytest_add_cli_args_test_selection])  # noqa: SLF001
            config._do_configure()  # noqa: SLF001  # pytest has no other way to collect now and run later
            self.session = pytest.Session.from_config(config)
            config.hook.pytest_sessionstart(session=self.session)
            config.hook.pytest_collection(session=self.session)

    def run(self, tests: Iterable[str]) -> int:
        """1 where one fails, and no further is run then."""
        session = self.session
        if session is None:
            raise RuntimeError("nothing was collected")
        by_id = {item.nodeid: item for item in session.items}
        session.items = [by_id[test] for test in tests]
        with change_cwd("mutants"):
            try:
                session.config.hook.pytest_runtestloop(session=session)
            except session.Failed:
                return 1
        return int(session.testsfailed > 0)


def run_quickly() -> None:
    """A mutant's process begins with the tests collected; mutmut would collect them for each again."""
    collected = Collected()
    plain, startup, submit = PytestRunner.run_tests, ForkRunner.startup, ForkRunner.submit

    def begin(runner: ForkRunner) -> None:
        collected.collect(runner.test_runner)
        startup(runner)

    def run(runner: PytestRunner, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        if mutant_name is None:
            return plain(runner, mutant_name=None, tests=tests)
        _be_silent()
        if mangled_name_from_mutant_name(mutant_name) not in decided_at_import():
            return collected.run(tests)
        near, every = _files_near(mutant_name), list(tests)
        for chosen in ([test for test in every if test.partition("::")[0] in near], every):
            forget(mutant_name.partition(".")[0])
            try:
                # Whatever keeps the tests from running is noticed.
                if chosen and plain(runner, mutant_name=mutant_name, tests=chosen):
                    return 1
            except BadTestExecutionCommandsException:
                return 1
        return 0

    def give(runner: ForkRunner, name: str, tests: list[str], _limit: int, seconds: float) -> None:
        submit(runner, name, tests, ceil(seconds * CPU_FACTOR + CPU_SECONDS), seconds)

    put(ForkRunner, "startup", begin)
    put(ForkRunner, "submit", give)
    put(PytestRunner, "run_tests", run)


def note_imports() -> None:
    """What an import calls is no single test's: all tests that reach the code are its tests, anew."""
    executed, loaded = PytestRunner.execute_pytest, MUTMUT.collect_or_load_stats

    class Noting:
        def pytest_collection_finish(self) -> None:
            AT_IMPORT.write_text(json.dumps(sorted(state()._stats)))  # noqa: SLF001
            state()._stats.clear()  # noqa: SLF001

    def execute(runner: PytestRunner, params: list[str], *, plugins: Sequence[object] = ()) -> int:
        if get_mutant_under_test() == "stats":
            plugins = [*plugins, Noting()]
        return executed(runner, params, plugins=list(plugins))

    def load(runner: Any, **how: Any) -> None:
        loaded(runner, **how)
        # Also those that call no function of the part: they may compare its data.
        known, every = state().tests_by_mangled_function_name, set(state().duration_by_test)
        for name in decided_at_import():
            known[name] = every
        _leave_out(int(os.environ.get("SAMPLE", "100")))

    put(PytestRunner, "execute_pytest", execute)
    put(MUTMUT, "collect_or_load_stats", load)


def _leave_out(sample: int) -> None:
    """All but so many in a hundred, the same in every run, are skipped; so are functions that do I/O."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 100
            wanted = place < sample and is_decision(path, name)
            if exit_code in {None, SKIPPED}:
                data.exit_code_by_key[name] = None if wanted else SKIPPED
        if data.exit_code_by_key:
            data.save()


def is_decision(path: Path, mutant_name: str) -> bool:
    """Whether the part names the mutant's function, where it doesn't name the module as a whole."""
    only = _named_functions()
    return path.name not in only or function_of(mutant_name) in only[path.name]


@cache
def _named_functions() -> dict[str, list[str]]:
    named: dict[str, list[str]] = json.loads(ONLY.read_text())
    return named


def function_of(mutant_name: str) -> str:
    """The function, method or name that a mutant is of, as a reader of the code says it."""
    function, class_name = orig_function_and_class_names_from_key(mutant_name)
    return f"{class_name}.{function}" if class_name else function


@cache
def decided_at_import() -> frozenset[str]:
    """Mangled names of the functions and data that are settled once the code is imported."""
    names = set(json.loads(AT_IMPORT.read_text()))
    for path in walk_mutatable_files():
        for name in json.loads((Path("mutants") / f"{path}.data").read_text()):
            names.add(mangled_name_from_mutant_name(get_mutant_name(path, name)))
    return frozenset(names)


def _files_near(mutant_name: str) -> set[str]:
    """The files of tests that call the mutant's module: with those it is tried first."""
    module = mutant_name.partition(".x")[0] + "."
    known, anew = state().tests_by_mangled_function_name, decided_at_import()
    tests = set[str]().union(*(known[name] for name in known if name.startswith(module) and name not in anew))
    return {test.partition("::")[0] for test in tests}


def forget(package: str) -> None:
    """Lets the next import of the package, and of the tests that imported it, be the first."""
    here = f"{Path.cwd()}/"
    for name, module in list(sys.modules.items()):
        ours = (getattr(module, "__file__", None) or "").startswith(here) or name.partition(".")[0] == package
        # A figure can be registered once; modules of figures know nothing of a domain.
        if ours and name.rpartition(".")[2] not in FIGURES:
            del sys.modules[name]


def _be_silent() -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
