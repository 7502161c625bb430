"""`up` and `down`: a system in the background whose folder lasts, without a trace once it is down."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deskline_local.client import Desk, until
from deskline_local.deployment import Doors
from deskline_local.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

COMMAND = Path(sys.executable).with_name("deskline-local")
SUPPORT = "support@desk.example"
PATIENCE = 30.0


def local(what: str, folder: Path) -> subprocess.CompletedProcess[str]:
    doors = {"DESKLINE_GATEWAY_PORT": "0", "DESKLINE_SMTP_PORT": "0", "DESKLINE_MAILBOX_PORT": "0"}
    return subprocess.run(
        [COMMAND, what, str(folder)],
        env=os.environ | doors,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def processes(folder: Path) -> set[int]:
    """Who runs in a folder or was told of it, by command, environment or working directory."""
    found = set()
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in one for one in told):
            found.add(process.pid)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "lasting"
    yield folder
    local("down", folder)
    assert processes(folder) == set()
    # What lasts of containers lies outside the folder.
    stack = System(folder, Doors.anywhere(), lasting=True).stack
    stack.kafka.wipe()
    stack.postgres.wipe()


def welcome(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """The gateway's address and the admin's token, as `up` printed them."""
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    address = re.search(r"^ready: (http://127\.0\.0\.1:\d+),", done.stdout, re.MULTILINE)
    token = re.search(r"^admin token: (dsk_\S+)$", done.stdout, re.MULTILINE)
    assert address is not None, done.stdout
    assert token is not None, done.stdout
    assert f"curl -H 'Authorization: Bearer {token[1]}' {address[1]}/v1/tickets" in done.stdout
    return address[1], token[1]


def assert_refused(done: subprocess.CompletedProcess[str]) -> None:
    """One clear line."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.fullmatch(r"it runs already, as process \d+: `make down` stops it", done.stderr.strip()), (
        done.stderr
    )


def tickets(address: str, token: str) -> list[Any]:
    answer = httpx.get(f"{address}/v1/tickets", headers={"Authorization": f"Bearer {token}"}, timeout=15)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json()["items"]
    return items


def send_a_mail(folder: Path, address: str, token: str) -> Any:
    """The ticket that it opened."""
    system = System(folder, Doors.anywhere())  # knows the folder's ports and secrets; starts nothing
    arguments = ["intake", "line", "add", "--address", SUPPORT, "--name", "support"]
    added = subprocess.run(
        [COMMAND, "service", "--folder", str(folder), *arguments], capture_output=True, text=True, check=False
    )
    assert added.returncode == 0, added.stderr
    desk = Desk(address, system.smtp, token)
    try:
        desk.mail(
            "anna@zavod.example", SUPPORT, b"From: anna@zavod.example\r\nSubject: kept\r\n\r\nKept.\r\n"
        )
        (ticket,) = until("the ticket", lambda: tickets(address, token) or None, PATIENCE)

        def in_its_queue() -> Any:
            card = desk.get(f"/v1/tickets/{ticket['ticket_id']}")
            return card if card["queue_id"] is not None else None

        # Nobody is there to be offered it: this is where it comes to rest.
        return until("the ticket in its queue", in_its_queue, PATIENCE)
    finally:
        desk.close()


def test_data_survive_down_and_up_and_no_process_survives_down(folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(partial(local, "up"), [folder] * 2), key=lambda done: done.returncode)
    address, token = welcome(first)
    assert_refused(second)
    assert tickets(address, token) == []
    card = send_a_mail(folder, address, token)
    assert card["messages"][0]["text"] == "Kept."

    running = processes(folder)
    assert_refused(local("up", folder))
    assert processes(folder) == running
    assert len(tickets(address, token)) == 1

    stopped = local("down", folder)
    assert stopped.returncode == 0, stopped.stderr
    assert processes(folder) == set()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/readyz")
    assert (folder / "admin-token").stat().st_mode & 0o777 == 0o600

    assert welcome(local("up", folder)) == (address, token)
    (ticket,) = tickets(address, token)
    answer = httpx.get(
        f"{address}/v1/tickets/{ticket['ticket_id']}", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.json() == card

    assert local("down", folder).returncode == 0
    assert processes(folder) == set()
    twice = local("down", folder)
    assert (twice.returncode, twice.stderr, "nothing runs" in twice.stdout) == (0, "", True)


def test_down_of_a_folder_where_nothing_ever_ran_is_fine(tmp_path: Path) -> None:
    done = local("down", tmp_path / "never")
    assert (done.returncode, done.stderr, "nothing runs" in done.stdout) == (0, "", True)
