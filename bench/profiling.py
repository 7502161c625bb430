"""Profiles of the services under load, by py-spy: which functions the processor is in, kept as text."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from bench import flow
from bench.company import Company, told
from bench.flow import Door
from bench.report import PROFILES
from deskline_local.deployment import SERVICES

PER_SECOND: Final = 200
TOP: Final = 60
# With subprocesses a stack begins with them: command lines, which name the machine's folders.
_PROCESS: Final = re.compile(r'process \d+:"[^"]*";')


class NoProfilerError(Exception):
    """py-spy is not installed."""


def program() -> str:
    """py-spy, beside this interpreter or on the path."""
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise NoProfilerError("py-spy is not installed: profiles need it")
    return found


def recording(raw: Path) -> list[str]:
    """The command that writes stacks there; it is told yet of which process."""
    return [
        program(),
        "record",
        "--format",
        "raw",
        "--rate",
        str(PER_SECOND),
        "--output",
        str(raw),
        "--nonblocking",
    ]


def of_rebuild(company: Company, folder: Path) -> Path:
    """The page of a rebuild, all its processes together."""
    raw = folder / "rebuild.raw"
    told(company.system, "analytics", "rebuild", by=[*recording(raw), "--subprocesses", "--"])
    page = PROFILES / "rebuild.txt"
    head = f"rebuild of {company.events():,} events\n\n"
    page.write_text(head + top(raw.read_text(encoding="utf-8")), encoding="utf-8")
    return page


def under_load(company: Company, door: Door, number: int, folder: Path) -> dict[str, Path]:
    """Service → its page; all services are looked at while one batch goes through a door."""
    recorders, raw = {}, {}
    for name, pid in company.processes.items():
        if name in SERVICES:
            raw[name] = folder / f"{name}.raw"
            command = [*recording(raw[name]), "--duration", "3600", "--pid", str(pid)]
            recorders[name] = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
            )
    found = flow.measure(company, door, number)
    for recorder in recorders.values():
        recorder.send_signal(2)
        recorder.wait(60)
    PROFILES.mkdir(parents=True, exist_ok=True)
    pages = {}
    for name, file in raw.items():
        pages[name] = PROFILES / f"{door}-{name}.txt"
        head = f"{name}, {number} {door}, {found.processor[name]:.2f} ms of processor each\n\n"
        pages[name].write_text(head + top(file.read_text(encoding="utf-8")), encoding="utf-8")
    return pages


def top(raw: str) -> str:
    """The functions with the most samples: their own, and with all that they called."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_short(frame) for frame in _PROCESS.sub("", stack).split(";")]
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    total = sum(own.values()) or 1
    lines = ["own time, % of the process", *(_line(own, one, total) for one, _ in own.most_common(TOP))]
    lines += ["", "with what it called", *(_line(whole, one, total) for one, _ in whole.most_common(TOP))]
    return "\n".join(lines) + "\n"


def _line(counts: Counter[str], frame: str, total: int) -> str:
    return f"{100 * counts[frame] / total:5.1f}  {frame}"


def _short(frame: str) -> str:
    """Function and file, without the line: what is near stays together."""
    function, _, place = frame.partition(" (")
    file = place.partition(":")[0].rstrip(")")
    return f"{function}  {file.rpartition('site-packages/')[2]}"
