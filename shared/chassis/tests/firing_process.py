"""A process that fires deadlines, one event each; it may kill itself between effect and commit."""

import os
import signal
import sys
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import uuid4

from deskline_chassis.applying import Transaction
from deskline_chassis.deadlines import Deadline, fire_deadlines
from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_chassis.runtime import Runtime, run_service
from deskline_events.intake import CompanyRegistered


def main(url: str, dies_at: int) -> int:
    """Fire until told to stop, or until the batch at which it dies."""
    database = Database(url, "firing")
    database.open()
    log = EventLog("intake", KeyRing(bytes(range(32))))
    batches = 0

    def fire(transaction: Transaction, due: Sequence[Deadline], _now: datetime) -> Collection[Deadline]:
        nonlocal batches
        log.append(
            transaction.connection,
            [
                NewEvent(
                    one.subject,
                    CompanyRegistered(company_id=one.subject, tier=one.key, locale="ru"),
                    Cause(uuid4()),
                )
                for one in due
            ],
        )
        batches += 1
        if batches == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return ()

    runtime = Runtime("firing")
    runtime.add("deadlines", fire_deadlines(database, log, {"breach": fire}))
    return run_service(runtime)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], int(sys.argv[2])))
