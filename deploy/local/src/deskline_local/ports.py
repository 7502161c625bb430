"""Ports on 127.0.0.1: chosen once, reserved, remembered, and refused in one clear line when taken.

Nobody listens yet at a port that was just chosen, nor at one whose server is being restarted. So that no
other stack of the same person takes it meanwhile, the process that chose it holds a lock on the byte of that
number in a file that they share. The kernel gives the lock back when the process ends, however it ends.
"""

import contextlib
import fcntl
import os
import secrets
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path

from deskline_local.errors import PortTaken, StackError

HOST = "127.0.0.1"
LOWEST, HIGHEST = 15_000, 32_000
LAST = 65_535
ATTEMPTS = 1_000


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((HOST, port))
            probe.listen()
            return True
    return False


def from_environment(variable: str, default: int = 0) -> int:
    """The port that a variable names, or the default where it is not set; 0 stands for a free one."""
    value = os.environ.get(variable, "").strip()
    if not value:
        return default
    if not value.isdecimal() or int(value) > LAST:
        message = f"{variable}={value} is no port: give a number up to {LAST}, or 0 to choose a free one"
        raise StackError(message)
    return int(value)


@cache
def _book() -> int:
    """The open file of reservations; it stays open, for closing it once would give back every lock."""
    path = Path(tempfile.gettempdir(), f"deskline-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


_guard = threading.RLock()
_reserved: set[int] = set()


def reserve(port: int) -> bool:
    """Keep other processes from choosing the port until this one ends; False where one of them came first."""
    book = _book()
    with _guard:
        try:
            fcntl.lockf(book, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except (BlockingIOError, PermissionError):  # POSIX leaves open which of them it is
            return False
        _reserved.add(port)
        return True


def choose() -> int:
    """A free port that no other stack has chosen, below the kernel's range for outgoing connections.

    Inside that range a client that keeps calling a killed server can be given the server's own port,
    connect to itself and hold the port when the server comes back.
    """
    highest = HIGHEST
    with contextlib.suppress(OSError, ValueError):
        highest = min(HIGHEST, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
    if highest <= LOWEST + ATTEMPTS:
        highest = HIGHEST
    for _ in range(ATTEMPTS):
        port = LOWEST + secrets.randbelow(highest - LOWEST)
        with _guard:
            if port not in _reserved and is_free(port) and reserve(port):
                return port
    message = f"no free port between {LOWEST} and {highest}"
    raise PortTaken(message)


def require_free(port: int, server: str, variable: str) -> None:
    if not is_free(port):
        message = (
            f"port {port} on {HOST} is taken by another program, so {server} can't start: "
            f"stop that program or set {variable} to a free port"
        )
        raise PortTaken(message)
