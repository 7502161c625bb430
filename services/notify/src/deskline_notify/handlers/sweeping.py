"""Sweeping: what waited for another owner's fact goes on, what nobody could be told for a day ends."""

from typing import Final

from deskline_chassis.event_log import EventLog
from deskline_chassis.postgres import Database
from deskline_notify import figures
from deskline_notify.adapters import claims
from deskline_notify.adapters.backlog import backlog
from deskline_notify.handlers.sending import announce, count_settled
from deskline_notify.handlers.telling import Telling, answer_questions, count_recorded

AT_ONCE: Final = 500


def let_go_on(database: Database, telling: Telling) -> bool:
    """Answer questions and release what has its address by now; whether there is something to send."""
    with database.transaction() as connection:
        recorded = answer_questions(telling, connection)
        released = claims.release_waiting(connection)
    count_recorded(recorded)
    return released > 0 or any(state == "pending" for _, state in recorded)


def end_overdue(database: Database, log: EventLog) -> int:
    """Give up what is a day old, and announce replies that came too late to be sent; how many."""
    with database.transaction() as connection:
        if not claims.is_anything_overdue(connection):
            return 0
        log.lock(connection)
        given_up = claims.give_up(connection, AT_ONCE)
        late = claims.take_unannounced(connection, AT_ONCE)
        announce(connection, log, [*given_up, *late])
    log.ring()
    count_settled(given_up)
    return len(given_up) + len(late)


def measure(database: Database) -> None:
    """Tell how much is not finished, and how old it is; forget answered addresses after their hour."""
    with database.transaction() as connection:
        claims.forget_answers(connection)
        found = backlog(connection)
    for state, number in found.states.items():
        figures.QUEUE.labels(state).set(number)
    figures.OLDEST_SECONDS.set(found.oldest_seconds)
