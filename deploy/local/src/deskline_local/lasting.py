"""`up` and `down`: the same system in a folder that lasts, run by a process in the background."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final

import psutil
from rich.console import Console

from deskline_local.deployment import OWN_DOMAIN, SERVICES, Doors
from deskline_local.errors import StackError
from deskline_local.folder import Folder
from deskline_local.office import token_in
from deskline_local.system import System

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 60.0
_WRITING: Final = Lock()  # the servers start side by side, and each tells of it


def run(folder: Path, doors: Doors) -> None:
    """Run the system until SIGTERM; `state.json` says how far it came. Raises StackError."""
    claimed = Folder(folder)
    claimed.claim()  # before anything is written: the state of the one who runs is not another's to replace
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    state: dict[str, Any] = {"pid": os.getpid(), "steps": []}

    def say(step: str) -> None:
        state["steps"].append(step)
        _write(folder, state)

    _write(folder, state)
    system = System(folder, doors, progress=say, lasting=True)
    try:
        system.start()
        _write(
            folder, state | {"ready": True, "gateway": system.deployment.gateway_url, "token": _token(system)}
        )
        ended.wait()
    except StackError as failure:
        _write(folder, state | {"failed": str(failure)})
        raise
    finally:
        system.stop()
        if ended.is_set():
            _state_file(folder).unlink(missing_ok=True)
        claimed.release()


def up(folder: Path, console: Console) -> None:
    """Start the system in the background and wait until it is ready; raises StackError."""
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_second(folder)
    _state_file(folder).unlink(missing_ok=True)
    with (folder / "up.log").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 -- our own command
            [sys.executable, "-m", "deskline_local.main", "run", str(folder)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    deadline, told = time.monotonic() + START_SECONDS, 0
    while time.monotonic() < deadline:
        state = _read(folder)
        if state.get("pid") != child.pid:
            state = {}
        for step in state.get("steps", [])[told:]:
            console.print(f"  {step}")
            told += 1
        if state.get("ready"):
            _welcome(console, folder, state)
            return
        if "failed" in state or child.poll() is not None:
            if not state:
                _refuse_second(folder)
            raise StackError(state.get("failed") or f"it ended at once; see {folder / 'up.log'}")
        time.sleep(0.1)
    raise StackError(f"not ready after {START_SECONDS:.0f} s; see {folder / 'up.log'}")


def _refuse_second(folder: Path) -> None:
    known = _read(folder)
    if known and _lives(known):
        raise StackError(f"it runs already, as process {known['pid']}: `make down` stops it")


def down(folder: Path, console: Console) -> None:
    """Stop what `up` started; raises StackError when it does not end."""
    state = _read(folder)
    if not state or not _lives(state):
        console.print("nothing runs")
        _state_file(folder).unlink(missing_ok=True)
        return
    process = psutil.Process(state["pid"])
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        raise StackError(f"process {state['pid']} did not end; see {folder / 'up.log'}") from None
    console.print("stopped; the data stays, `make up` goes on with it")


def command_in(folder: Path, service: str, arguments: list[str]) -> str:
    """What a service's command prints, run in the environment of what `up` started; raises StackError."""
    if service not in SERVICES:
        raise StackError(f"{service} is none of {', '.join(SERVICES)}")
    if not _lives(_read(folder)):
        raise StackError(f"nothing runs in {folder}: `make up` starts it")
    system = System(folder, Doors.anywhere())
    system.deployment.create_databases()
    return system.command(service, *arguments)


def _welcome(console: Console, folder: Path, state: dict[str, Any]) -> None:
    console.print(f"\nready: {state['gateway']}, data and logs in {folder}", highlight=False)
    console.print(f"admin token: {state['token']}", highlight=False, soft_wrap=True)
    tool = f"{Path(sys.executable).with_name('deskline-local')} service --folder {folder}"
    for what, line in (
        (
            "list the tickets",
            f"curl -H 'Authorization: Bearer {state['token']}' {state['gateway']}/v1/tickets",
        ),
        (
            "add a mailbox",
            f"{tool} intake line add --address support@{OWN_DOMAIN} --name support --language ru",
        ),
        ("make an operator's token", f"{tool} gateway token create --role operator"),
    ):
        console.print(f"{what}: {line}", highlight=False, soft_wrap=True, markup=False)


def _token(system: System) -> str:
    kept = system.folder / "admin-token"
    if not kept.exists():
        token = token_in(system.command("gateway", "token", "create", "--role", "admin"))
        handle = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(token)
    return kept.read_text().strip()


def _lives(state: dict[str, Any]) -> bool:
    with contextlib.suppress(psutil.Error):
        return "deskline_local.main" in psutil.Process(state["pid"]).cmdline()
    return False


def _state_file(folder: Path) -> Path:
    return folder / "state.json"


def _read(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        state: dict[str, Any] = json.loads(_state_file(folder).read_text())
        return state
    return {}


def _write(folder: Path, state: dict[str, Any]) -> None:
    part = folder / "state.json.part"
    with _WRITING:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(state, file)
        part.replace(_state_file(folder))
