"""The forms' door: a filled form is stored, committed and only then acknowledged."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from deskline_chassis.postgres import Database, is_surroundings
from deskline_intake import figures
from deskline_intake.adapters.lines import find_line
from deskline_intake.channels.group_commit import GroupCommit
from deskline_intake.channels.known_lines import KnownLines
from deskline_intake.domain.pressure import Pressure
from deskline_intake.handlers.forms import FormPost, FormRefused, Rates, take_forms
from deskline_intake.ports import StoredLine

# One writer works these off in about a second; who comes behind them would wait for longer than people do.
MOST_WAITING: Final = 256
LATER: Final = timedelta(seconds=2)


class FormDoor:
    """Takes forms over; several replicas keep one count."""

    def __init__(
        self, database: Database, pressure: Pressure, rates: Rates, stored: Callable[[], None]
    ) -> None:
        self._database = database
        self._pressure = pressure
        self._rates = rates
        self._group: GroupCommit[FormPost, bool] = GroupCommit(
            "form-store", self._store, stored, lambda post: len(post.raw)
        )
        self._lines = KnownLines(database, find_line)

    async def line(self, line_id: UUID) -> StoredLine | None:
        """The line that forms are sent to, None where there is none to send them to."""
        line = await self._lines.find(line_id)
        return None if line is None or line.disabled or line.channel != "form" else line

    async def accept(self, post: FormPost) -> UUID:
        """The message's id, once it is stored; raises FormRefused and psycopg's errors."""
        if post.trapped:
            # A robot must not learn that it was found out.
            figures.FORMS.labels("trapped").inc()
            return post.raw_id
        try:
            self._refuse_flood()
            fresh = await self._group.add(post)
        except FormRefused as refused:
            figures.FORMS.labels(refused.code).inc()
            raise
        figures.FORMS.labels("accepted" if fresh else "repeated").inc()
        return post.raw_id

    def _refuse_flood(self) -> None:
        if self._pressure.is_high:
            figures.SHED.labels("form").inc()
            raise FormRefused("busy", timedelta(seconds=self._pressure.retry_seconds))
        if self._group.waiting >= MOST_WAITING:
            raise FormRefused("busy", LATER)

    def _store(self, posts: Sequence[FormPost]) -> list[bool | Exception]:
        """Forms that can't be stored for what they hold take no other along."""
        try:
            with self._database.transaction() as connection:
                return list(take_forms(connection, posts, self._rates))
        except Exception as error:  # noqa: BLE001 -- told to whoever sent it
            if len(posts) == 1 or is_surroundings(error):
                return [error] * len(posts)
            return [self._store([post])[0] for post in posts]
