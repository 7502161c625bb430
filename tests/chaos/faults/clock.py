"""One process' clock jumps and comes back, by libfaketime; the machine's own is never touched."""

import os
import sysconfig
from datetime import timedelta
from pathlib import Path
from typing import Final

NAME: Final = "libfaketimeMT.so.1"
"""The one for programs with threads."""

REREAD_SECONDS: Final = 1
VARIABLE: Final = "DESKLINE_TEST_FAKETIME"


class FaketimeMissing(Exception):  # noqa: N818 -- what is wrong
    """libfaketime is not installed."""


def library() -> Path:
    """Where it is: as the variable says, else where Debian's package puts it; raises FaketimeMissing."""
    told = os.environ.get(VARIABLE, "").strip()
    architecture = sysconfig.get_config_var("MULTIARCH") or ""
    found = Path(told) if told else Path("/usr/lib") / architecture / "faketime" / NAME
    if not found.is_file():
        raise FaketimeMissing(
            f"{found} is not there: install Debian's libfaketime (`make test-extra` does), or set {VARIABLE}"
        )
    return found


class Clock:
    """A process' wall clock, off by what it was last set to; its monotonic clock goes on as it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._library = library()
        self.jump(timedelta())

    @property
    def variables(self) -> dict[str, str]:
        """What the process has to be told at its start."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(REREAD_SECONDS),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Python compares a module's time with that in its compiled file.
            "NO_FAKE_STAT": "1",
        }

    def jump(self, offset: timedelta) -> None:
        """Off by so much; the process sees it within a second."""
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(f"{offset.total_seconds():+.0f}s\n", encoding="ascii")
        fresh.replace(self._file)
