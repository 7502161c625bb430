"""Letters as files of a Maildir, in the order of arrival, the oldest given up when there are too many."""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

FOLDERS: Final = ("tmp", "new", "cur")
MIB: Final = 1024 * 1024

_RECIPIENT: Final = b"Delivered-To: "
_SENDER: Final = b"Return-Path: "


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept: letters, and bytes of them all together."""

    letters: int = 100_000
    folder_bytes: int = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Stored:
    """A letter as it arrived: its envelope, and its content byte for byte."""

    id: str
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]
    content: bytes


class Maildir:
    """One folder, one process that writes to it; any mail program can read along."""

    def __init__(self, folder: Path, limits: Limits = Limits()) -> None:
        self._folder = folder
        self._limits = limits
        self._last = 0
        self._host = socket.gethostname().replace("/", "_")
        self._lock = threading.Lock()
        self._kept: deque[tuple[str, int]] = deque()
        self._bytes = 0

    def open(self) -> None:
        """Make the folders and count what is in them; raises OSError."""
        for name in FOLDERS:
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        for left in (self._folder / "tmp").iterdir():
            left.unlink()  # of a process that ended while it wrote
        with self._lock:
            sizes = [(name, (self._folder / "new" / name).stat().st_size) for name in self.ids()]
            self._kept = deque(sizes)
            self._bytes = sum(size for _, size in sizes)
            self._last = _nanoseconds(sizes[-1][0]) if sizes else 0

    def keep(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """Store a letter and give its id; raises OSError."""
        head = b"".join(_RECIPIENT + _encoded(recipient) + b"\r\n" for recipient in recipients)
        whole = head + _SENDER + b"<" + _encoded(sender) + b">\r\n" + content
        with self._lock:
            # Nineteen digits until the year 2286: names sort by arrival, even where the clock is set back.
            self._last = max(time.time_ns(), self._last + 1)
            name = f"{self._last}.{os.getpid()}.{self._host}"
            written = self._folder / "tmp" / name
            written.write_bytes(whole)
            written.rename(self._folder / "new" / name)
            self._kept.append((name, len(whole)))
            self._bytes += len(whole)
            self._give_up_oldest()
        return name

    def _give_up_oldest(self) -> None:
        limits = self._limits
        while len(self._kept) > 1 and (len(self._kept) > limits.letters or self._bytes > limits.folder_bytes):
            name, size = self._kept.popleft()
            (self._folder / "new" / name).unlink(missing_ok=True)
            self._bytes -= size

    def ids(self) -> list[str]:
        """Of all letters, in the order of arrival."""
        return sorted(file.name for file in (self._folder / "new").iterdir())

    def letters(self, after: str = "") -> Iterator[Stored]:
        """Those that arrived after the one with this id, one at a time; all of them without it."""
        for name in self.ids():
            if name > after:
                try:
                    yield _stored(name, (self._folder / "new" / name).read_bytes())
                except FileNotFoundError:
                    continue  # given up meanwhile


def _encoded(address: str) -> bytes:
    return address.encode("utf-8", "surrogateescape")


def _stored(name: str, whole: bytes) -> Stored:
    recipients: list[str] = []
    rest = whole
    while rest.startswith(_RECIPIENT):
        line, _, rest = rest.partition(b"\r\n")
        recipients.append(line.removeprefix(_RECIPIENT).decode("utf-8", "replace"))
    line, _, content = rest.partition(b"\r\n")
    sender = line.removeprefix(_SENDER).decode("utf-8", "replace").strip("<>")
    received_at = datetime.fromtimestamp(_nanoseconds(name) / 1_000_000_000, UTC)
    return Stored(name, received_at, sender, tuple(recipients), content)


def _nanoseconds(name: str) -> int:
    return int(name.partition(".")[0])
