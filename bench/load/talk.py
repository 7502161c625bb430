"""The load client's side: what it is told, and its lines to the one who measures."""

import json
import resource
import sys
from typing import Any


def told() -> dict[str, Any]:
    """What it is to do; asked once, before anything else is heard."""
    arguments: dict[str, Any] = json.loads(sys.stdin.readline())
    return arguments


def say(**what: Any) -> None:
    """One line to the one who measures."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def heard() -> str:
    """The next word; empty when nobody measures any more."""
    return sys.stdin.readline().strip()


def processor_seconds() -> float:
    """What this process used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
