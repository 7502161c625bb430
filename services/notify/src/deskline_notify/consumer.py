"""Kafka's door: whose events are read, and the command that they become."""

from collections.abc import Callable, Sequence
from typing import Final

from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.decoding import Received
from deskline_events.facts import Fact
from deskline_events.intake import ContactRegistered
from deskline_events.routing import OperatorChanged, TeamChanged
from deskline_events.sla import SlaBreached, SlaWarned
from deskline_events.tickets import (
    AutomaticMessageAdded,
    CustomerReplied,
    Escalated,
    OperatorReplied,
    PriorityChanged,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)
from deskline_notify.handlers.telling import Telling, take_facts

READER: Final = "deskline.notify"
OWNERS: Final = ("intake", "tickets", "routing", "sla")
KEY_OWNERS: Final = ("intake", "routing")

_FACTS: Final[tuple[type[Fact], ...]] = (
    ContactRegistered,
    TicketOpened,
    CustomerReplied,
    AutomaticMessageAdded,
    OperatorReplied,
    PriorityChanged,
    TicketRouted,
    TicketOffered,
    TicketAccepted,
    TicketUnassigned,
    Escalated,
    OperatorChanged,
    TeamChanged,
    SlaWarned,
    SlaBreached,
)


def reader_of(telling: Telling, ring: Callable[[], None]) -> ReaderSpec:
    """What notify reads; `ring` wakes the sender of this process after a commit."""

    def apply(transaction: Transaction, received: Sequence[Received]) -> None:
        if take_facts(telling, transaction, received):
            transaction.after_commit.append(ring)

    return ReaderSpec(
        name=READER,
        owners=OWNERS,
        key_owners=KEY_OWNERS,
        types=frozenset(model.TYPE for model in _FACTS),
        apply=apply,
    )
