"""`demo`: the whole system in a folder of its own, the story played on it, and what it left behind."""

import contextlib
import json
import shutil
import signal
import threading
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from deskline_local.acts.printer import Printer
from deskline_local.acts.unanswered import Unanswered
from deskline_local.client import StepFailedError, until
from deskline_local.deployment import OWN_DOMAIN, SERVICES, Doors
from deskline_local.errors import StackError
from deskline_local.folder import Folder
from deskline_local.office import Office
from deskline_local.story import Json, Stage, Story
from deskline_local.system import System
from deskline_local.timeline import Timeline

VIEWS: Final = ("tickets", "ticket_events", "flow")
MARK: Final = "demonstration"
SHOWN: Final = 110  # characters of an event
MEBIBYTE: Final = 1024 * 1024


def demo(folder: Path, doors: Doors, console: Console, *, once: bool) -> None:
    """Play the story; with `once` end then, else stay up until Ctrl-C. Raises StackError, StepFailedError."""
    claimed = _emptied(folder)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())

    def say(step: str) -> None:
        console.print(f"  {step}", style="dim", highlight=False)

    console.rule("starting")
    with System(folder, doors, trace_sample=1.0, progress=say) as system:
        office = Office(system)
        try:
            office.open()
            first = _play(system, office, console)
            _show(system, office, first, console)
            if not once:
                console.print("\nUp until Ctrl-C.", style="bold")
                ended.wait()
        finally:
            office.close()
    claimed.release()
    console.print("stopped: no process is left")


def _emptied(folder: Path) -> Folder:
    """The demonstration's folder, claimed and empty; any other folder with something in it is refused."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise StackError(f"{folder} holds something that is no demonstration: name another folder")
    claimed = Folder(folder)
    claimed.claim()
    for child in folder.iterdir():
        if child.is_dir():
            shutil.rmtree(child)
        elif child.name != "lock":
            child.unlink()
    (folder / MARK).touch()
    return claimed


def _play(system: System, office: Office, console: Console) -> Json:
    console.rule("the story")
    timeline = Timeline(system.stack.bootstrap, console)
    timeline.start()
    story = Story(lambda step: console.print(f"▸ {step}", style="bold yellow", highlight=False))
    stage = Stage(office, system)
    printer = Printer(stage)
    try:
        story.play([*printer.steps(), *Unanswered(stage).steps()])
    finally:
        timeline.stop()
    return printer.first


def _show(system: System, office: Office, first: Json, console: Console) -> None:
    ticket_id = first["ticket_id"]
    console.rule(f"ticket {first['number']} as it is stored")
    _show_events(system.deployment.databases["tickets"].owner_url, ticket_id, console)
    console.rule("what analysts see")
    for view in VIEWS:
        _show_view(system.deployment.databases["analytics"].readonly_url, view, console)
    console.rule("one trace")
    _show_trace(system, ticket_id, console)
    console.rule("memory: the services at their peak, the servers now")
    _show_memory(system, console)
    console.rule("try it")
    _show_doors(system, office, ticket_id, console)


def _show_events(url: str, ticket_id: str, console: Console) -> None:
    table = Table("version", "type", "time", "data (personal fields are sealed)")
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT sequence, type, time, data::text FROM events WHERE stream = %s ORDER BY sequence",
            (ticket_id,),
        ).fetchall()
    for sequence, kind, time, data in rows:
        short = data if len(data) <= SHOWN else f"{data[: SHOWN - 3]}..."
        table.add_row(str(sequence), kind, f"{time:%H:%M:%S.%f}"[:-3], short)
    console.print(table)


def _show_view(url: str, view: str, console: Console) -> None:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(f"SELECT * FROM analyst.{view} LIMIT 5")
        columns = [column.name for column in cursor.description or ()][:8]
        rows = cursor.fetchall()
    table = Table(*columns, title=f"analyst.{view}")
    for row in rows:
        table.add_row(*(str(value)[:28] for value in row[: len(columns)]))
    console.print(table)
    if not rows:
        raise StepFailedError(f"analyst.{view} is empty")


def _show_trace(system: System, ticket_id: str, console: Console) -> None:
    """The trace of the mail that opened the ticket: it must pass intake, tickets and analytics."""
    with psycopg.connect(system.deployment.databases["tickets"].owner_url) as connection:
        row = connection.execute(
            "SELECT traceparent FROM events WHERE stream = %s AND sequence = 1", (ticket_id,)
        ).fetchone()
    if row is None or row[0] is None:
        raise StepFailedError("the first event of the ticket carries no trace")
    trace_id = row[0].split("-")[1]

    def passed() -> list[dict[str, Any]] | None:
        spans = [json.loads(line) for line in system.deployment.trace_file.read_text().splitlines()]
        mine = [span for span in spans if span["trace_id"] == trace_id]
        return mine if {"intake", "tickets", "analytics"} <= {span["service"] for span in mine} else None

    spans = sorted(until("one trace through intake, tickets and analytics", passed), key=lambda s: s["start"])
    console.print(f"trace {trace_id}", highlight=False)
    for span in spans:
        console.print(f"  {span['service']:10} {span['name']}", highlight=False)


def _show_memory(system: System, console: Console) -> None:
    used = {name: system.supervisor.peak_rss(name) for name in SERVICES}
    used |= {
        "Kafka": _proportional(system.stack.kafka.pid),
        "PostgreSQL": _proportional(system.stack.postgres.pid),
    }
    for name, bytes_ in used.items():
        console.print(f"{name:10} memory {bytes_ / MEBIBYTE:6.0f} MiB", highlight=False)
    console.print(f"{'all':10} memory {sum(used.values()) / MEBIBYTE:6.0f} MiB", highlight=False)


def _proportional(pid: int) -> int:
    """Memory of a process and its children, what they share counted once."""
    root = psutil.Process(pid)
    total = 0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            whole = process.memory_full_info()
            total += getattr(whole, "pss", whole.uss)
    return total


def _show_doors(system: System, office: Office, ticket_id: str, console: Console) -> None:
    url, token = system.deployment.gateway_url, office.olga.token
    for path in (
        "/v1/tickets",
        f"/v1/tickets/{ticket_id}",
        f"/v1/tickets/{ticket_id}/history?version=1",
        f"/v1/tickets/{ticket_id}/decisions",
        f"/v1/tickets/{ticket_id}/clocks",
    ):
        line = f"curl -s -H 'Authorization: Bearer {token}' '{url}{path}'"
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(
        f"SMTP: 127.0.0.1:{system.deployment.ports['smtp']}, to support@{OWN_DOMAIN}", highlight=False
    )
    console.print(f"mail that was sent: {system.deployment.maildir}", highlight=False, soft_wrap=True)
    console.print(f"data and logs: {system.folder}", highlight=False, soft_wrap=True)
