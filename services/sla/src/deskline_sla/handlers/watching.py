"""Facts about tickets move their clocks; a whole batch at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deskline_chassis.deadlines import Deadline
from deskline_chassis.event_log import Cause, NewEvent
from deskline_sla.domain.clock import Clock
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.steps import STEP_KIND, StepName, steps_to_arm
from deskline_sla.domain.watched import ClockId, Happened, Moved, WatchedTicket, advance
from deskline_sla.figures import CLOCKS_MOVED
from deskline_sla.handlers.rules import seeded_book
from deskline_sla.ports import Change, ClockDesk, Watching


@dataclass(frozen=True, slots=True)
class WatchTicket:
    """Something happened to a ticket; what follows from it is caused by `cause`."""

    ticket_id: UUID
    happened: Happened
    partition: int
    cause: Cause


def watch_tickets(desk: ClockDesk, commands: Sequence[WatchTicket]) -> None:
    """Move the clocks of all these tickets, each fact seeing what those before it did."""
    desk.lock()
    book = seeded_book(desk)
    found = desk.find({command.ticket_id for command in commands})
    batch = Batch(book, found)
    for command in commands:
        watching = found.get(command.ticket_id)
        before = None if watching is None else watching.ticket
        after, moves = advance(command.ticket_id, before, command.happened, book)
        if after is None:
            continue
        found[after.id] = Watching(after, command.partition, command.cause)
        batch.note(found[after.id], moves, command.happened.at, command.cause)
    desk.save(batch.events, batch.changes())


class Batch:
    """Moves of many clocks, from which follow the events and, by each clock's last state, the rows."""

    def __init__(self, book: RuleBook, found: dict[UUID, Watching]) -> None:
        self._book = book
        self._before = {watching.ticket.id: watching.ticket for watching in found.values()}
        self._touched: dict[UUID, tuple[Watching, dict[ClockId, datetime]]] = {}
        self.events: list[NewEvent] = []

    def note(self, watching: Watching, moves: Iterable[Moved], at: datetime, cause: Cause) -> None:
        """A ticket is now so, after these moves at a moment."""
        ticket = watching.ticket
        moved = self._touched[ticket.id][1] if ticket.id in self._touched else {}
        for move in moves:
            moved[move.after.name, move.after.cycle] = at
            self.events.append(NewEvent(ticket.id, move.fact, cause))
            CLOCKS_MOVED.labels(move.fact.TYPE.split(".")[2]).inc()
        self._touched[ticket.id] = watching, moved

    def changes(self) -> list[Change]:
        """What is to be kept, one a ticket."""
        return [self._change(watching, moved) for watching, moved in self._touched.values()]

    def _change(self, watching: Watching, moved: dict[ClockId, datetime]) -> Change:
        ticket = watching.ticket
        clocks: list[Clock] = []
        arm: list[Deadline] = []
        cancel: set[str] = set()
        for (name, cycle), at in moved.items():
            clock = ticket.clock(name, cycle)
            if clock is None:
                continue
            clocks.append(clock)
            cancel |= self._armed_before(ticket, name, cycle)
            arm += [
                Deadline(
                    STEP_KIND, ticket.id, str(StepName(name, cycle, one.step.key)), clock.generation, one.at
                )
                for one in steps_to_arm(clock, at, self._book)
            ]
        return Change(watching, clocks, arm, cancel - {deadline.key for deadline in arm})

    def _armed_before(self, ticket: WatchedTicket, name: str, cycle: int) -> set[str]:
        before = self._before.get(ticket.id)
        clock = next(
            (c for c in (before.clocks if before else ()) if (c.name, c.cycle) == (name, cycle)), None
        )
        if clock is None or not clock.is_open:
            return set()
        steps = self._book.steps(clock.name, clock.basis)
        fired = {(one.key, one.generation) for one in clock.fired}
        return {
            str(StepName(clock.name, cycle, step.key))
            for step in steps
            if (step.key, clock.generation) not in fired
        }
