"""Event → change of rows, without a database.

Events of one stream come in order and once; between streams and owners any order gives the same rows.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from deskline_analytics.domain import (
    told_by_assignment,
    told_by_intake,
    told_by_notify,
    told_by_routing,
    told_by_sla,
    told_by_tickets,
)
from deskline_analytics.domain.rows import Changes, ClockKey
from deskline_analytics.domain.work import ClockUnknownError, Handlers, Known, TicketUnknownError, Work, utc
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.routing import OperatorChanged, QueueChanged, TeamChanged
from deskline_events.sla import (
    CalendarChanged,
    ClockCancelled,
    ClockMet,
    ClockPaused,
    ClockResumed,
    PolicyChanged,
    SlaBreached,
    SlaRecalculated,
    SlaWarned,
)
from deskline_events.tickets import MessageSetAside

__all__ = ["ClockUnknownError", "Known", "TicketUnknownError", "clocks_in", "project", "tickets_in", "types"]

_HANDLERS: Final[Handlers] = {
    **told_by_intake.HANDLERS,
    **told_by_tickets.HANDLERS,
    **told_by_assignment.HANDLERS,
    **told_by_routing.HANDLERS,
    **told_by_sla.HANDLERS,
    **told_by_notify.HANDLERS,
}
# Their streams are no tickets.
_ABOUT_OTHERS: Final = (
    MessageSetAside,
    OperatorChanged,
    TeamChanged,
    QueueChanged,
    PolicyChanged,
    CalendarChanged,
)
_ON_CLOCKS: Final = (
    ClockPaused,
    ClockResumed,
    ClockMet,
    ClockCancelled,
    SlaRecalculated,
    SlaWarned,
    SlaBreached,
)

Told = tuple[Envelope, Fact]


def types() -> frozenset[str]:
    """The wire types that change a row."""
    return frozenset(model.TYPE for model in _HANDLERS)


def tickets_in(events: Iterable[Told]) -> set[UUID]:
    """The tickets whose rows `project` must be given, where there are any."""
    return {
        envelope.subject
        for envelope, fact in events
        if envelope.owner != "intake" and not isinstance(fact, _ABOUT_OTHERS)
    }


def clocks_in(events: Iterable[Told]) -> set[ClockKey]:
    """The clocks whose rows `project` must be given, where there are any."""
    return {
        (envelope.subject, fact.clock, fact.cycle)
        for envelope, fact in events
        if isinstance(fact, _ON_CLOCKS)
    }


def project(events: Iterable[Told], known: Known | None = None) -> Changes:
    """The changes that a batch makes; `known` are the rows of `tickets_in` and `clocks_in`, and are used up.

    Raises TicketUnknownError and ClockUnknownError.
    """
    work = Work(known or Known(), Changes())
    for envelope, fact in events:
        _HANDLERS[type(fact)](work, envelope, fact)
        at = utc(envelope.time)
        before = work.changes.fresh.get(envelope.owner, at)
        work.changes.fresh[envelope.owner] = max(before, at)
    return work.changes
