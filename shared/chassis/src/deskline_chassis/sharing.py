"""Shared transactions: what several threads want at one moment is committed once, for all of them.

A service's log takes one writer at a time, up to the end of its commit, and a commit waits for the disk:
writers that each commit by themselves are no more a second than the disk has turns.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from deskline_chassis.postgres import Conn, Database, is_surroundings

MOST: Final = 32
"""Works of one transaction: what comes behind them waits for its commit only."""

Result = TypeVar("Result")
Work = Callable[[Conn], Result]


class _Turn(Generic[Result]):
    """One work, and what came of it."""

    def __init__(self, work: Work[Result]) -> None:
        self.work = work
        self.leads = False
        self.called = threading.Event()
        self.error: BaseException | None = None
        self._results: list[Result] = []

    def begin(self, connection: Conn) -> None:
        self._results = [self.work(connection)]

    def outcome(self) -> Result:
        if self.error is not None:
            raise self.error
        return self._results[0]


class SharedTransactions:
    """Whoever comes first works for all who came by then; the first who came meanwhile does so next."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[_Turn[Any]] = []
        self._led = False

    def run(self, work: Work[Result]) -> Result:
        """The work's result, committed; raises the work's error, which undoes what this work did alone.

        Where the surroundings fail, all who shared the transaction are told so, and nothing else.
        """
        turn = _Turn(work)
        with self._lock:
            self._waiting.append(turn)
            turn.leads, self._led = not self._led, True
        if not turn.leads:
            turn.called.wait()
        if turn.leads:
            self._lead()
        return turn.outcome()

    def _lead(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            self._work(group)
        finally:
            with self._lock:
                following = self._waiting[:1]
                self._led = bool(following)
            for turn in following:
                turn.leads = True
            for turn in (*group, *following):
                turn.called.set()

    def _work(self, group: Sequence[_Turn[Any]]) -> None:
        try:
            with self._database.transaction() as connection:
                if len(group) == 1:
                    group[0].begin(connection)
                    return
                # Begun here: psycopg commits the outermost block, and each work is to be one inside it.
                with connection.transaction():
                    for turn in group:
                        _work_apart(connection, turn)
        except BaseException as error:  # noqa: BLE001 -- raised to each of them in its own thread
            # Also who was refused: it may have been for what another of the group did, which is undone now.
            for turn in group:
                turn.error = error


def _work_apart(connection: Conn, turn: _Turn[Any]) -> None:
    try:
        with connection.transaction():
            turn.begin(connection)
    except Exception as error:
        if is_surroundings(error):
            raise
        turn.error = error
