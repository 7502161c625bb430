"""Processor time of the processes under test, from /proc: each with all its children, dead ones too."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat behind the command's name (proc_pid_stat(5)).
PARENT, USER, CHILDREN_SYSTEM = 1, 11, 14


def stat(pid: int) -> list[str] | None:
    """The fields behind the name; None where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def families(roots: Iterable[int]) -> dict[int, list[int]]:
    """Each root with its living descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat(int(entry.name))) is not None:
            parents[int(entry.name)] = int(fields[PARENT])
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = {}
    for root in roots:
        family = [root]
        for pid in family:
            family += children.get(pid, [])
        found[root] = family
    return found


def used(pid: int, *, with_children: bool = True) -> float:
    """Seconds of processor time, in user and kernel mode; of ended and awaited children too."""
    fields = stat(pid)
    if fields is None:
        return 0.0
    last = CHILDREN_SYSTEM if with_children else CHILDREN_SYSTEM - 2
    return sum(int(field) for field in fields[USER : last + 1]) / TICKS


def seconds(roots: Mapping[str, int], without: Iterable[int] = ()) -> dict[str, float]:
    """Per name, what its process and all its descendants used so far, but for the pids of `without`."""
    excluded = set(without)
    found = families(roots.values())
    return {
        name: sum(used(pid) for pid in found[root] if pid not in excluded) for name, root in roots.items()
    }


def resident(roots: Mapping[str, int]) -> dict[str, int]:
    """Per name, the resident memory of its process and all its descendants now, in bytes."""
    found = families(roots.values())
    page = os.sysconf("SC_PAGE_SIZE")
    pages = {}
    for name, root in roots.items():
        fields = [fields for pid in found[root] if (fields := stat(pid)) is not None]
        pages[name] = page * sum(int(one[21]) for one in fields)
    return pages
