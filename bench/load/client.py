"""The measuring side of a load client: started, prepared, let go, and asked what it saw."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class ClientFailedError(Exception):
    """A load client ended without an answer."""


class Client:
    """A process `python -m bench.load.<what>`: told in a line what to do, it says one when it is ready.

    It says another one when it is done.
    """

    def __init__(self, what: str, told: Mapping[str, Any]) -> None:
        self.what = what
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"bench.load.{what}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.say(json.dumps(told))
        self.ready = self._line()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, word: str = "go") -> dict[str, Any]:
        """Say a word and wait for what it answers."""
        self.say(word)
        return self._line()

    def say(self, word: str) -> None:
        """Let it go; `answer` waits for the end."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What it says when it is done."""
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ClientFailedError(f"{self.what} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it: its standard input closes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
