"""Kafka's door: facts about tickets become commands; all of a batch in the reader's one transaction."""

from collections.abc import Sequence

from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.decoding import Received
from deskline_sla.adapters.clock_desk import READER, WATCHED, Desks
from deskline_sla.domain.watched import FACTS, Happened
from deskline_sla.handlers.watching import WatchTicket, watch_tickets


def reader_of(desks: Desks) -> ReaderSpec:
    """What sla reads: the facts about tickets that move clocks.

    Personal fields of these are opened by the harness, for which it needs intake's keys; none is kept.
    """

    def apply(transaction: Transaction, received: Sequence[Received]) -> None:
        watch_tickets(desks.within(transaction), [on_fact(one) for one in received])

    return ReaderSpec(
        name=READER,
        owners=(WATCHED,),
        key_owners=("intake",),
        types=frozenset(fact.TYPE for fact in FACTS),
        apply=apply,
    )


def on_fact(received: Received) -> WatchTicket:
    """Any of these facts → WatchTicket."""
    envelope = received.envelope
    _, partition = received.place
    return WatchTicket(envelope.subject, Happened(received.fact, envelope.time), partition, received.cause)
