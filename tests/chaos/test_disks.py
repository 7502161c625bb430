"""PostgreSQL's disk is slow, then full for a while: doors answer "later", and what they took is not lost."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from tests.chaos.faults import disk
from tests.chaos.faults.disk import StraceMissing
from tests.judging import everything, messages, records
from tests.judging.everything import Topics
from tests.judging.records import Findings
from tests.traffic import Customers, until

from deskline_local.deployment import Doors
from deskline_local.office import Office
from deskline_local.system import System

pytestmark = [pytest.mark.extra, pytest.mark.timeout(300)]

PERSONS = 1000
SYNC_SECONDS = 0.25
FULL_SECONDS = 3.0
MAILS_EACH = 10
PATIENCE = 60.0
QUIET_SECONDS = 90.0


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with System(tmp_path / "system", Doors.anywhere()) as running:
        office = Office(running)
        office.add_line("support")
        office.close()
        yield running


def write(customers: Customers, ended: threading.Event) -> None:
    number = 0
    while not ended.is_set():
        customers.deliver(number)
        number += 1


def seconds_for_a_commit(system: System) -> float:
    began = time.monotonic()
    with psycopg.connect(system.stack.database_url(), connect_timeout=30) as connection:
        connection.execute("CREATE TABLE committed ()")
        connection.execute("DROP TABLE committed")
    return time.monotonic() - began


def judge(system: System, customers: Customers, findings: Findings, topics: Topics) -> None:
    keys = records.person_keys(system.bootstrap, everything.KEYS, system.key_encryption_key)
    effects = messages.effects_by_mail(topics["tickets"], keys)
    messages.check_effects(findings, customers.accepted, customers.unknown, effects)


def test_slow_and_full_disk_lose_nothing(system: System) -> None:
    customers, ended = Customers(system.smtp[1], PERSONS), threading.Event()
    log = Path(system.stack.folder) / "postgres" / "postgres.log"
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write, customers, ended)
        try:
            until("mails accepted", lambda: customers.reached(MAILS_EACH), PATIENCE)
            with disk.slow_fsync(system.stack.postgres, SYNC_SECONDS):
                assert seconds_for_a_commit(system) >= SYNC_SECONDS
                slow = len(customers.accepted) + MAILS_EACH
                until("mails accepted though slowly", lambda: customers.reached(slow), PATIENCE)
            with disk.full_disk(system.stack.postgres):
                until("somebody noticed", lambda: "No space left on device" in log.read_text(), PATIENCE)
                threading.Event().wait(FULL_SECONDS)
            again = len(customers.accepted) + MAILS_EACH
            until("mails accepted again", lambda: customers.reached(again), PATIENCE)
        finally:
            ended.set()
        writing.result()
    findings, _ = everything.at_rest(system, [], QUIET_SECONDS, partial(judge, system, customers))
    print(f"{len(customers.accepted)} mails accepted\n{findings.table()}")
    assert not findings.wrong, findings.table()
    assert findings.checked["I1 accepted"] == len(customers.accepted) >= 3 * MAILS_EACH


def test_missing_strace_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    anybody: Any = SimpleNamespace(pid=os.getpid())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StraceMissing, match="install Debian's strace"), disk.slow_fsync(anybody, 1):
        pytest.fail("nothing was injected")
