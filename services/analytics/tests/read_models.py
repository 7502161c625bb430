"""A database of analytics alone, filled with what a story tells: no broker, no owners."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from deskline_analytics.projections import apply_events
from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause
from deskline_chassis.migrate import migrate
from deskline_chassis.postgres import Conn
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_local.stack import ServiceDatabase, Stack

_numbers = itertools.count(1)


class ReadModels:
    """The newest schema, empty until something is told."""

    def __init__(self, database: ServiceDatabase, runtime: Conn) -> None:
        self.database = database
        self.readonly_role = f"{database.name}_readonly"
        self._runtime = runtime

    def tell(self, events: Sequence[tuple[Envelope, Fact]], batch: int = 500) -> None:
        """Apply events as a reader would, a transaction a batch."""
        for begin in range(0, len(events), batch):
            told = events[begin : begin + batch]
            received = [Received(e, f, Cause(e.correlation_id)) for e, f in told]
            with self._runtime.transaction():
                apply_events(Transaction(self._runtime), received)


@contextmanager
def read_models(stack: Stack) -> Iterator[ReadModels]:
    """A database of its own, dropped at the end."""
    name = f"told{next(_numbers)}"
    database = stack.create_service_database("analytics", name)
    migrate(database.owner_url, "deskline_analytics", f"{name}_runtime", f"{name}_readonly")
    try:
        with psycopg.connect(database.runtime_url, autocommit=True) as runtime:
            yield ReadModels(database, runtime)
    finally:
        stack.drop_service_database("analytics", name)
