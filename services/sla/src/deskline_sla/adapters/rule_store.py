"""Rules by version: read from their tables, kept in the process, brought forward at every use."""

from typing import Final

from deskline_chassis.postgres import Conn
from deskline_events.sla import CalendarChanged, PolicyChanged
from deskline_sla.domain.rules import RuleBook

_NEWER: Final = (
    "SELECT change_id, content::text, 'policy' FROM policies WHERE change_id > %(last)s"
    " UNION ALL SELECT change_id, content::text, 'calendar' FROM calendars WHERE change_id > %(last)s"
    " ORDER BY 1"
)


class RuleStore:
    """One for a process; safe for threads. Versions never change, so that only newer ones are read."""

    def __init__(self) -> None:
        self._known: tuple[int, RuleBook] = (0, RuleBook())

    def book(self, connection: Conn) -> RuleBook:
        """All that is committed; not to be asked after a put in the same transaction, which may fail yet."""
        last, book = self._known
        rows = connection.execute(_NEWER, {"last": last}).fetchall()
        if not rows:
            return book
        # Numbers are given under the log's lock: what is committed later has a higher one.
        book = book.joined_by([_read(kind, content) for _, content, kind in rows])
        self._known = rows[-1][0], book
        return book


def _read(kind: str, content: str) -> PolicyChanged | CalendarChanged:
    model = PolicyChanged if kind == "policy" else CalendarChanged
    return model.model_validate_json(content)
