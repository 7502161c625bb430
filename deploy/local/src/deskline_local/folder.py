"""The stack's folder: one owner at a time, and what has to be the same after a restart."""

import fcntl
import json
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from deskline_local import ports
from deskline_local.errors import FolderInUse


class Folder:
    """Ports and passwords of one stack, in files that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock_file: int | None = None
        self._guard = threading.RLock()

    def claim(self) -> None:
        """Take the folder for this process; the kernel gives it back when the process ends."""
        with self._guard:
            if self._lock_file is not None:
                return
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as taken:
                owner = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
                os.close(handle)
                message = (
                    f"a stack already runs in {self.path}, started by process {owner}: stop that one first"
                )
                raise FolderInUse(message) from taken
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
            self._lock_file = handle

    def release(self) -> None:
        with self._guard:
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def port(self, name: str, wanted: int) -> int:
        """The wanted port, or for 0 the one chosen before, or a free one that is remembered from now on."""
        with self._guard:
            known = {key: int(value) for key, value in self._read("ports.json").items()}
            if wanted:
                known[name] = wanted
            elif name not in known:
                known[name] = ports.choose()
            # Where one of an earlier run is another's by now, the server that starts there says so.
            ports.reserve(known[name])
            self._write("ports.json", {key: str(value) for key, value in known.items()})
            return known[name]

    def password(self, role: str) -> str:
        """The role's random password, the same every time."""
        with self._guard:
            known = self._read("passwords.json")
            if role not in known:
                known[role] = secrets.token_urlsafe(24)
                self._write("passwords.json", known)
            return known[role]

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """A secret that is made once and then the same every time."""
        with self._guard:
            known = self._read("secrets.json")
            if name not in known:
                known[name] = make()
                self._write("secrets.json", known)
            return known[name]

    def forget(self, role: str) -> None:
        with self._guard:
            known = self._read("passwords.json")
            if known.pop(role, None) is not None:
                self._write("passwords.json", known)

    def _read(self, name: str) -> dict[str, str]:
        try:
            return {
                str(key): str(value) for key, value in json.loads((self.path / name).read_bytes()).items()
            }
        except FileNotFoundError:
            return {}

    def _write(self, name: str, values: dict[str, str]) -> None:
        part = self.path / f"{name}.part"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(values, file, indent=1)
        part.replace(self.path / name)
