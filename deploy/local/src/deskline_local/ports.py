"""Ports on 127.0.0.1: chosen once, remembered, and refused in one clear line when taken."""

import contextlib
import os
import secrets
import socket
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


def choose(taken: set[int]) -> int:
    """A free port below the kernel's range for outgoing connections.

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
        if port not in taken and is_free(port):
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
