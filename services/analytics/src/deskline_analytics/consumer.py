"""Kafka events → read models: which events are read, and under which lock."""

from collections.abc import Sequence
from typing import Final

from deskline_analytics.adapters.serving_lock import share_in_transaction
from deskline_analytics.domain import projecting
from deskline_analytics.projections import apply_events
from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.decoding import Received

READER: Final = "deskline.analytics"
REBUILDER: Final = "deskline.analytics.rebuild"
OWNERS: Final = ("intake", "tickets", "routing", "sla", "notify")
KEY_OWNERS: Final = ("intake", "routing")


def live_reader() -> ReaderSpec:
    """The reader of a serving process."""
    return ReaderSpec(READER, OWNERS, KEY_OWNERS, projecting.types(), _apply_live)


def rebuilding_reader() -> ReaderSpec:
    """The same effects under a name of its own; whoever runs it holds the whole lock."""
    return ReaderSpec(REBUILDER, OWNERS, KEY_OWNERS, projecting.types(), apply_events)


def _apply_live(transaction: Transaction, received: Sequence[Received]) -> None:
    # In one pipeline, the lock's answer is not waited for: what is read comes after it all the same.
    with transaction.connection.pipeline():
        share_in_transaction(transaction.connection)
        apply_events(transaction, received)
