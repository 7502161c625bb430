"""What this container may use: control groups, version 2 (kernel.org, admin-guide/cgroup-v2)."""

import math
import os
from pathlib import Path
from typing import Final

OURS: Final = Path("/sys/fs/cgroup")


def processors(group: Path = OURS) -> int:
    """How many processors there are to run on, a part of one counted as one."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = _read(group / "cpu.max").partition(" ")
    if not quota.isdecimal() or not period.isdecimal():
        return allowed
    return max(1, min(allowed, math.ceil(int(quota) / int(period))))


def free_memory(group: Path = OURS) -> int | None:
    """Bytes up to the limit, file cache counted as free; None where there is no limit."""
    limit = _read(group / "memory.max")
    if not limit.isdecimal():
        return None
    used = dict(line.split(" ", 1) for line in _read(group / "memory.stat").splitlines())
    return max(0, int(limit) - int(used.get("anon", "0")))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        # No control groups, or those of version 1: nothing is known of limits.
        return ""
