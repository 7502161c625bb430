"""A batch while it is decided: what was found for it, what was decided so far, each command seeing both."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_tickets.domain.commands import Command
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import TicketOpened
from deskline_tickets.domain.stages import OVER
from deskline_tickets.domain.threading import Candidates, Traces, candidates_for
from deskline_tickets.domain.ticket import Ticket, evolve
from deskline_tickets.ports import Arrival, Assignment, Change, Found


class Batch:
    """Changes and arrivals of one transaction, to be saved together."""

    def __init__(
        self, found: Found, erased: frozenset[UUID] = frozenset(), serving: Collection[Assignment] = ()
    ) -> None:
        self._found = found
        self._serving = serving
        self._erased = erased
        self.changes: list[Change] = []
        self.arrivals: list[Arrival] = []
        self.openings = 0

    def decide(self, stream: UUID, command: Command, cause: Cause, at: datetime) -> None:
        """What follows from a command; raises Refusal. `at` is roughly when: the log knows exactly."""
        before = self._found.tickets.get(stream)
        facts = decide(before, command)
        self.openings += sum(isinstance(fact, TicketOpened) for fact in facts)
        self.changes.append(Change(stream, 0 if before is None else before.version, facts, cause, before))
        ticket = before
        for fact in facts:
            version = 1 if ticket is None else ticket.version + 1
            ticket = evolve(ticket, fact, ticket_id=stream, version=version, time=at)
        if ticket is not None:
            self._found.tickets[stream] = ticket

    def arrive(self, arrival: Arrival) -> None:
        """A message has its place."""
        self.arrivals.append(arrival)
        self._found.sources[arrival.source_key] = arrival.stream
        if arrival.message_id_hash is not None:
            self._found.message_ids.setdefault(arrival.message_id_hash, arrival.stream)

    def has(self, source_key: str) -> bool:
        """Whether a message had its effect before."""
        return source_key in self._found.sources

    def is_erased(self, person: UUID) -> bool:
        """Whether a sender's key is gone."""
        return person in self._erased

    def candidates(self, traces: Traces) -> Candidates:
        """The tickets that a message's traces lead to."""
        found = self._found
        return candidates_for(traces, found.tickets, found.message_ids, found.numbers)

    def keeps_assignee(self, ticket_id: UUID) -> bool:
        """Whether whoever has the ticket still serves its queue."""
        ticket = self._found.tickets.get(ticket_id)
        return ticket is None or assignment_of(ticket) in self._serving

    def numbered(self, numbers: Iterable[int]) -> list[Change]:
        """The changes, with a number for each opening."""
        following = iter(numbers)
        return [
            Change(
                change.stream,
                change.version,
                tuple(
                    fact.model_copy(update={"number": next(following)})
                    if isinstance(fact, TicketOpened)
                    else fact
                    for fact in change.facts
                ),
                change.cause,
                change.before,
            )
            for change in self.changes
        ]


def assignment_of(ticket: Ticket) -> Assignment | None:
    """Who has the ticket in which queue."""
    return None if ticket.assignee_id is None else (ticket.assignee_id, ticket.queue_id)


def assignments_to_check(tickets: Iterable[Ticket]) -> set[Assignment]:
    """Of tickets that may be reopened: who would have them again."""
    return {
        found for ticket in tickets if ticket.stage in OVER and (found := assignment_of(ticket)) is not None
    }
