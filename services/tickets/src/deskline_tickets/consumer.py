"""Kafka's door: events of others become commands; all of a batch in the reader's one transaction."""

from collections.abc import Sequence
from typing import Final

from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.decoding import Received
from deskline_events.intake import MessageReceived
from deskline_tickets.adapters.desk import PostgresDesk
from deskline_tickets.adapters.ticket_store import TicketStore
from deskline_tickets.handlers.messages import Rules, TakeMessage, take_messages

READER: Final = "deskline.tickets"


def reader_of(store: TicketStore, rules: Rules) -> ReaderSpec:
    """What tickets reads: intake's messages, and its keys, without which no message can be opened."""

    def apply(transaction: Transaction, received: Sequence[Received]) -> None:
        desk = PostgresDesk(transaction.connection, store, transaction.after_commit)
        on_message_received(desk, received, rules)

    return ReaderSpec(
        name=READER,
        owners=("intake",),
        key_owners=("intake",),
        types=frozenset({MessageReceived.TYPE}),
        apply=apply,
    )


def on_message_received(desk: PostgresDesk, received: Sequence[Received], rules: Rules) -> None:
    """MessageReceived → TakeMessage, in their order."""
    commands = [TakeMessage(one.fact, one.cause) for one in received if isinstance(one.fact, MessageReceived)]
    take_messages(desk, commands, rules)
