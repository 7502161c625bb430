"""The demonstration is the main job: it ends as told, and leaves nothing behind."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deskline_local.deployment import SERVICES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

COMMAND = Path(sys.executable).with_name("deskline-local")
MEBIBYTE = 1024 * 1024


def demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    names = ("GATEWAY", "SMTP", "MAILBOX")
    doors = {f"DESKLINE_{name}_PORT": "0" for name in names} | {"COLUMNS": "200"}
    return subprocess.run(
        [COMMAND, "demo", str(folder), "--once"],
        env=os.environ | doors | environment,
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )


def test_story_ends_as_told_and_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = demo(folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for told in ("TicketOpened", "AutomaticMessageAdded", "analyst.tickets", "trace ", "curl -s"):
        assert told in done.stdout
    peaks = {
        line.split()[0]: float(line.split()[2])
        for line in done.stdout.splitlines()
        if line.rstrip().endswith("MiB")
    }
    assert set(peaks) == {*SERVICES, "Kafka", "PostgreSQL", "all"}
    assert all(peaks[service] <= 170 for service in SERVICES), peaks
    assert peaks["all"] <= 2200, peaks
    left = [
        p.pid for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or ())
    ]
    assert left == []
    canaries = ("бухгалтерии", "anna@zavod.example", "картридж", "printer-1@zavod")
    for written in (*folder.glob("logs/*.log"), folder / "traces.jsonl"):
        text = written.read_text(errors="replace")
        assert not [word for word in canaries if word in text], f"personal words in {written.name}"


def test_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = demo(tmp_path / "demo", DESKLINE_GATEWAY_PORT=str(port))
    assert done.returncode == 1
    message = " ".join(done.stderr.split())
    assert str(port) in message
    assert "DESKLINE_GATEWAY_PORT" in message
    assert "Traceback" not in done.stderr


def test_folder_with_something_else_in_it_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    done = demo(tmp_path)
    assert done.returncode == 1
    assert (tmp_path / "precious").read_text() == "data"
