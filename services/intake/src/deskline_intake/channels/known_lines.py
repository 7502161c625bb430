"""Lines as the doors know them: asked of the database again after a second, for each of them."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

from deskline_chassis.postgres import Conn, Database
from deskline_intake.ports import StoredLine

LINE_SECONDS: Final = 1.0
_MOST_LINES: Final = 10_000

Name = TypeVar("Name")


class KnownLines(Generic[Name]):
    """Lines by what a sender names them by; one that is disabled is refused a second later at the most.

    What is no line is asked anew each time: it may become one, and strangers' guesses would fill the memory.
    """

    def __init__(self, database: Database, find: Callable[[Conn, Name], StoredLine | None]) -> None:
        self._database = database
        self._find = find
        self._lines: dict[Name, tuple[StoredLine, float]] = {}
        self._threads = ThreadPoolExecutor(2, "lines")

    async def find(self, name: Name) -> StoredLine | None:
        """The line, or None where there is none; raises psycopg's errors."""
        line, asked_at = self._lines.get(name, (None, 0.0))
        if line is not None and time.monotonic() - asked_at < LINE_SECONDS:
            return line
        line = await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, name)
        if len(self._lines) >= _MOST_LINES:
            self._lines.clear()
        if line is None:
            self._lines.pop(name, None)
        else:
            self._lines[name] = line, time.monotonic()
        return line

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, name: Name) -> StoredLine | None:
        with self._database.transaction() as connection:
            return self._find(connection, name)
