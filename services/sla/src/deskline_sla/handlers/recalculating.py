"""Changed rules come to apply to open clocks, some tickets at a time; a crash goes on where it was."""

from typing import Final

import structlog

from deskline_sla.domain.business_time import NoBusinessTimeError
from deskline_sla.domain.watched import recalculate
from deskline_sla.handlers.rules import seeded_book
from deskline_sla.handlers.watching import Batch
from deskline_sla.ports import OpenDesk, Watching

log = structlog.get_logger(__name__)

TICKETS_AT_ONCE: Final = 200


def recalculate_some(open_desk: OpenDesk, limit: int = TICKETS_AT_ONCE) -> bool:
    """Recalculate the next tickets of the oldest plan; whether there may be more to do."""
    with open_desk() as desk:
        desk.lock()
        plan = desk.planned()
        if plan is None:
            return False
        book = seeded_book(desk)
        ticket_ids = desk.open_tickets(plan.after, limit)
        found = desk.find(ticket_ids)
        batch = Batch(book, found)
        for ticket_id in ticket_ids:
            watching = found[ticket_id]
            try:
                ticket, moves = recalculate(
                    watching.ticket,
                    book,
                    at=plan.at,
                    reason=plan.reason,
                    actor=plan.actor,
                    rule_id=plan.rule_id,
                )
            except NoBusinessTimeError as error:
                # The clock keeps its basis: the others must not wait for this one.
                log.error("a clock can't be recalculated", ticket=str(ticket_id), cause=str(error))
                continue
            if moves:
                batch.note(Watching(ticket, watching.partition, watching.cause), moves, plan.at, plan.cause)
        desk.save(batch.events, batch.changes())
        desk.keep_progress(plan.change_id, ticket_ids[-1] if len(ticket_ids) == limit else None)
        return True
