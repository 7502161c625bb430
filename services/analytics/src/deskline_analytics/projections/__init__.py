"""Event → row: a batch of events as a handful of statements over arrays, whatever its size.

Table names are unqualified: the connection's search path decides between the live tables and those
that a rebuild fills.
"""

from collections.abc import Sequence

from deskline_analytics.domain.projecting import Known, clocks_in, project, tickets_in
from deskline_analytics.projections.erasing import forget_erased
from deskline_analytics.projections.loading import load_clocks, load_tickets
from deskline_analytics.projections.writing import write
from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received

__all__ = ["apply_events", "forget_erased", "write"]


def apply_events(transaction: Transaction, received: Sequence[Received]) -> None:
    """Bring the read models forward by a batch; raises TicketUnknownError and ClockUnknownError."""
    connection = transaction.connection
    events = [(one.envelope, one.fact) for one in received]
    tickets = load_tickets(connection, tickets_in(events))
    changes = project(events, Known(tickets, load_clocks(connection, clocks_in(events))))
    # One round trip for all of them.
    with connection.pipeline():
        write(connection, changes)
