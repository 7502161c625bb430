"""Whether a container engine answers on this machine, asked of the engine itself."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT = "unix:///var/run/docker.sock"
REQUEST = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"
TIMEOUT = 2.0  # seconds


def engine_answers() -> bool:
    """Whether DOCKER_HOST, or the usual socket, answers a ping: a socket file alone proves nothing."""
    address = urlsplit(os.environ.get("DOCKER_HOST") or DEFAULT)
    try:
        with _connect(address.scheme, address.path, address.hostname, address.port) as connection:
            connection.settimeout(TIMEOUT)
            connection.sendall(REQUEST)
            return connection.recv(12).startswith(b"HTTP/1.")
    except OSError:
        return False


def _connect(scheme: str, path: str, host: str | None, port: int | None) -> socket.socket:
    if scheme != "unix":
        return socket.create_connection((host or "127.0.0.1", port or 2375), TIMEOUT)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(TIMEOUT)
        connection.connect(str(Path(path)))
    except OSError:
        connection.close()
        raise
    return connection
