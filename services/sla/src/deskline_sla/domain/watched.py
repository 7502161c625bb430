"""A watched ticket: its clocks, and what each fact about it does to them.

`clocks` is all of it as one pure function: the same events under the same rules give the same clocks,
due moments and generations, whenever and in whatever portions they are replayed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from deskline_events.conditions import Circumstances
from deskline_events.facts import Fact
from deskline_events.sla import (
    ClockCancelled,
    ClockMet,
    ClockName,
    ClockPaused,
    ClockResumed,
    ClockStarted,
    SlaRecalculated,
)
from deskline_events.tickets import (
    Actor,
    CustomerReplied,
    Escalated,
    OperatorReplied,
    PriorityChanged,
    Stage,
    StageChanged,
    TicketOpened,
)
from deskline_sla.domain.clock import (
    Clock,
    cancel_clock,
    elapsed_of,
    meet_clock,
    pause_clock,
    recalculate_clock,
    resume_clock,
    start_clock,
)
from deskline_sla.domain.rules import RuleBook

FACTS: Final[tuple[type[Fact], ...]] = (
    TicketOpened,
    CustomerReplied,
    OperatorReplied,
    StageChanged,
    PriorityChanged,
    Escalated,
)
"""What moves a clock, or says when one is to begin."""

SOLVED: Final[frozenset[Stage]] = frozenset({"resolved", "closed"})
ENDS: Final[frozenset[Stage]] = frozenset({"merged", "spam", "abandoned"})

ClockId = tuple[ClockName, int]
"""(clock, cycle)"""


@dataclass(frozen=True, slots=True)
class Happened:
    """A fact about a ticket and when it was committed."""

    fact: Fact
    at: datetime


@dataclass(frozen=True, slots=True)
class WatchedTicket:
    """A ticket as its clocks need it; `customer_wrote_at` is known while that is the last thing that was."""

    id: UUID
    circumstances: Circumstances
    cycle: int
    customer_wrote_at: datetime | None
    clocks: tuple[Clock, ...] = ()

    def clock(self, name: ClockName, cycle: int) -> Clock | None:
        """One of its clocks."""
        return next((one for one in self.clocks if (one.name, one.cycle) == (name, cycle)), None)

    def with_clock(self, changed: Clock) -> "WatchedTicket":
        """The ticket with that clock in the place of its like."""
        others = tuple(one for one in self.clocks if (one.name, one.cycle) != (changed.name, changed.cycle))
        return replace(self, clocks=(*others, changed))


@dataclass(frozen=True, slots=True)
class Moved:
    """A clock that changed, how it was before, and what is announced of it."""

    before: Clock | None
    after: Clock
    fact: Fact


def clocks(ticket_id: UUID, events: Iterable[Happened], book: RuleBook) -> WatchedTicket | None:
    """A ticket's clocks after its events, under the rules of a book; raises NoBusinessTimeError."""
    ticket: WatchedTicket | None = None
    for happened in events:
        ticket, _ = advance(ticket_id, ticket, happened, book)
    return ticket


def advance(
    ticket_id: UUID, ticket: WatchedTicket | None, happened: Happened, book: RuleBook
) -> tuple[WatchedTicket | None, list[Moved]]:
    """The ticket after a fact, and how its clocks moved; raises NoBusinessTimeError."""
    fact = happened.fact
    if ticket is None:
        return _open(ticket_id, fact, book) if isinstance(fact, TicketOpened) else (None, [])
    return _follow(ticket, fact, happened.at, book)


def _follow(
    ticket: WatchedTicket, fact: Fact, at: datetime, book: RuleBook
) -> tuple[WatchedTicket, list[Moved]]:
    moves: list[Moved] = []
    wrote_at = fact.message.received_at if isinstance(fact, CustomerReplied) else None
    match fact:
        case OperatorReplied():
            ticket, moves = _applied(ticket, _met(ticket.clock("first_response", 1), at, book))
        case StageChanged() as changed:
            ticket, moves = _change_stage(ticket, changed, at, book)
        case PriorityChanged(after=priority, actor=actor):
            found = ticket.circumstances.model_copy(update={"priority": priority})
            changed_ticket = replace(ticket, circumstances=found)
            ticket, moves = recalculate(changed_ticket, book, at=at, reason="priority", actor=actor)
        case Escalated(after=level, actor=actor):
            found = ticket.circumstances.model_copy(update={"level": level})
            changed_ticket = replace(ticket, circumstances=found)
            ticket, moves = recalculate(changed_ticket, book, at=at, reason="level", actor=actor)
        case _:
            pass
    return replace(ticket, customer_wrote_at=wrote_at), moves


def recalculate(
    ticket: WatchedTicket,
    book: RuleBook,
    *,
    at: datetime,
    reason: Literal["priority", "level", "policy", "calendar"],
    actor: Actor | None,
    rule_id: UUID | None = None,
) -> tuple[WatchedTicket, list[Moved]]:
    """Choose anew by what each open clock is measured; one whose basis stays is left as it is.

    `rule_id` is the policy or calendar whose newest version is to apply; raises NoBusinessTimeError.
    """
    moves: list[Moved] = []
    for clock in ticket.clocks:
        if not clock.is_open:
            continue
        basis = (
            book.choose_basis(clock.name, ticket.circumstances, clock.basis)
            if rule_id is None
            else book.renew_basis(clock.name, ticket.circumstances, clock.basis, rule_id)
        )
        if basis is None or basis == clock.basis:
            continue
        after = recalculate_clock(clock, basis, book, at=at, reason=reason)
        fact = SlaRecalculated(
            clock=clock.name,
            cycle=clock.cycle,
            generation=after.generation,
            before=clock.basis,
            before_due_at=clock.due_at,
            basis=basis,
            due_at=after.due_at,
            reason=reason,
            actor=actor,
        )
        moves.append(Moved(clock, after, fact))
    return _applied(ticket, moves)


def _open(ticket_id: UUID, opened: TicketOpened, book: RuleBook) -> tuple[WatchedTicket, list[Moved]]:
    customer, line = opened.customer, opened.line
    found = Circumstances(
        line_id=line.line_id,
        channel=line.channel,
        language=customer.locale,
        level=opened.level,
        priority=opened.priority,
        tier=customer.tier,
        company_id=customer.company_id,
        new_contact=customer.new,
        verified=customer.verified,
    )
    at = opened.message.received_at
    ticket = WatchedTicket(ticket_id, found, 1, at)
    # What a machine sent waits for nobody's first answer.
    names: tuple[ClockName, ...] = ("resolution",)
    if opened.message.kind == "human":
        names = ("first_response", "resolution")
    moves = [move for name in names for move in _started(ticket, name, 1, at, book)]
    return _applied(ticket, moves)


def _change_stage(
    ticket: WatchedTicket, changed: StageChanged, at: datetime, book: RuleBook
) -> tuple[WatchedTicket, list[Moved]]:
    # What a customer's own message brought about counts from when it came to our door.
    by_message = changed.actor.kind == "contact" and ticket.customer_wrote_at is not None
    since = min(ticket.customer_wrote_at or at, at) if by_message else at
    if changed.cycle > ticket.cycle:
        ticket = replace(ticket, cycle=changed.cycle)
        return _applied(ticket, _started(ticket, "resolution", changed.cycle, since, book))
    clock = ticket.clock("resolution", ticket.cycle)
    moves: list[Moved] = []
    if changed.after in ENDS:
        moves = [_cancelled(one, at, changed.after) for one in ticket.clocks if one.is_open]
    elif changed.after in SOLVED:
        moves = _met(clock, at, book)
    elif clock is not None and changed.after == "waiting_customer":
        moves = [_paused(clock, at, book)] if clock.state == "running" else []
    elif clock is not None and clock.state == "paused":
        moves = [_resumed(clock, since, book)]
    return _applied(ticket, moves)


def _applied(ticket: WatchedTicket, moves: list[Moved]) -> tuple[WatchedTicket, list[Moved]]:
    for move in moves:
        ticket = ticket.with_clock(move.after)
    return ticket, moves


def _started(ticket: WatchedTicket, name: ClockName, cycle: int, at: datetime, book: RuleBook) -> list[Moved]:
    basis = book.choose_basis(name, ticket.circumstances)
    if basis is None:
        return []
    clock = start_clock(name, cycle, basis, book, at=at, reason="opened" if cycle == 1 else "reopened")
    fact = ClockStarted(
        clock=name,
        cycle=cycle,
        generation=clock.generation,
        started_at=clock.started_at,
        due_at=clock.due_at,
        basis=basis,
        circumstances=ticket.circumstances,
    )
    return [Moved(None, clock, fact)]


def _paused(clock: Clock, at: datetime, book: RuleBook) -> Moved:
    after = pause_clock(clock, at)
    paused_at = after.segments[-1].since
    fact = ClockPaused(
        clock=clock.name,
        cycle=clock.cycle,
        generation=after.generation,
        paused_at=paused_at,
        elapsed_seconds=_seconds(after, paused_at, book),
        reason="waiting_customer",
    )
    return Moved(clock, after, fact)


def _resumed(clock: Clock, at: datetime, book: RuleBook) -> Moved:
    # A message may have come before the pause that it ends was committed.
    after = resume_clock(clock, max(at, clock.segments[-1].since), book)
    fact = ClockResumed(
        clock=clock.name,
        cycle=clock.cycle,
        generation=after.generation,
        resumed_at=after.segments[-1].since,
        due_at=after.due_at,
    )
    return Moved(clock, after, fact)


def _met(clock: Clock | None, at: datetime, book: RuleBook) -> list[Moved]:
    if clock is None or not clock.is_open:
        return []
    after = meet_clock(clock, at, book)
    fact = ClockMet(
        clock=clock.name,
        cycle=clock.cycle,
        generation=after.generation,
        met_at=at,
        due_at=after.due_at,
        elapsed_seconds=_seconds(after, at, book),
        breached=after.breached_since is not None,
    )
    return [Moved(clock, after, fact)]


def _cancelled(clock: Clock, at: datetime, reason: Stage) -> Moved:
    after = cancel_clock(clock, at)
    fact = ClockCancelled(
        clock=clock.name, cycle=clock.cycle, generation=after.generation, cancelled_at=at, reason=reason
    )
    return Moved(clock, after, fact)


def _seconds(clock: Clock, at: datetime, book: RuleBook) -> int:
    return int(elapsed_of(clock, at, book).total_seconds())
