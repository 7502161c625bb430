"""Kafka's door: what tickets announces becomes commands; all of a batch in the reader's one transaction."""

from collections.abc import Sequence
from typing import Final

from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import EventLog
from deskline_events.tickets import (
    DecisionRefused,
    Escalated,
    OfferDeclined,
    OfferEnded,
    PriorityChanged,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)
from deskline_routing.adapters.desk import PostgresDesk
from deskline_routing.handlers.facts import TakeFact, take_facts

READER: Final = "deskline.routing"
TYPES: Final = frozenset(
    {
        TicketOpened.TYPE,
        StageChanged.TYPE,
        PriorityChanged.TYPE,
        TicketRouted.TYPE,
        TicketOffered.TYPE,
        OfferDeclined.TYPE,
        OfferEnded.TYPE,
        TicketAccepted.TYPE,
        TicketUnassigned.TYPE,
        Escalated.TYPE,
        DecisionRefused.TYPE,
    }
)


def reader_of(log: EventLog) -> ReaderSpec:
    """What routing reads: tickets' facts, and intake's keys, without which no opening can be read."""

    def apply(transaction: Transaction, received: Sequence[Received]) -> None:
        desk = PostgresDesk(transaction.connection, log, transaction.after_commit)
        on_ticket_facts(desk, received)

    return ReaderSpec(name=READER, owners=("tickets",), key_owners=("intake",), types=TYPES, apply=apply)


def on_ticket_facts(desk: PostgresDesk, received: Sequence[Received]) -> None:
    """Every fact of a ticket → TakeFact, in their order."""
    facts = [TakeFact(one.envelope.subject, one.fact, one.envelope.time, one.cause) for one in received]
    take_facts(desk, facts)
