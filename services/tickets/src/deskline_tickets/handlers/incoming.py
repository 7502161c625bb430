"""What other services announced: customers' messages and decisions, a whole batch in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_tickets.domain.commands import FromService
from deskline_tickets.domain.threading import Traces
from deskline_tickets.handlers.batch import Batch, assignments_to_check
from deskline_tickets.handlers.messages import Rules, TakeMessage, take_message, traces_of
from deskline_tickets.ports import Desk, Wanted


@dataclass(frozen=True, slots=True)
class AnswerDecision:
    """A service decided about a ticket; what follows from it is caused by `cause`."""

    ticket_id: UUID
    decision: FromService
    cause: Cause
    at: datetime


Incoming = TakeMessage | AnswerDecision


def take_in(desk: Desk, commands: Sequence[Incoming], rules: Rules) -> None:
    """Decide each in its order, seeing what became of those before it; save all together."""
    read = [(one, traces_of(one.message, rules)) for one in commands if isinstance(one, TakeMessage)]
    traces = {id(command): found for command, found in read}
    wanted = _wanted(read, [one.ticket_id for one in commands if isinstance(one, AnswerDecision)])
    desk.warm(wanted)
    desk.lock()
    found = desk.find(wanted)
    batch = Batch(
        found,
        erased=desk.erased_among({command.message.contact_id for command, _ in read}),
        serving=desk.serving(assignments_to_check(found.tickets.values())),
    )
    for command in commands:
        if isinstance(command, TakeMessage):
            take_message(batch, command, traces[id(command)], rules)
        else:
            batch.decide(command.ticket_id, command.decision, command.cause, command.at)
    desk.save(batch.numbered(desk.take_numbers(batch.openings)), batch.arrivals)


def _wanted(read: Sequence[tuple[TakeMessage, Traces]], decided: Sequence[UUID]) -> Wanted:
    every = [traces for _, traces in read]
    named = {one for traces in every for one in (*traces.by_own_message_id, traces.by_token) if one}
    return Wanted(
        line_ids={command.message.line.line_id for command, _ in read},
        source_keys={command.message.source_key for command, _ in read},
        message_ids={one for traces in every for one in traces.stored_message_ids},
        numbers={traces.number for traces in every if traces.number is not None},
        ticket_ids=named.union(decided),
    )
