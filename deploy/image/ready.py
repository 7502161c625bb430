#!/usr/local/bin/python3 -IS
"""Ask the process in this container how it is: `ready [PORT] [PATH]` exits 0 on 200, else says the answer."""

import socket
import sys
from typing import Final

SECONDS: Final = 4.0


def answer(port: int, path: str) -> bytes:
    """The whole HTTP answer; a bare socket, since this runs every few seconds in every container."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.settimeout(SECONDS)
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        parts = []
        while part := connection.recv(4096):
            parts.append(part)
    return b"".join(parts)


def main() -> int:
    """0 where the process says that it is ready."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    path = sys.argv[2] if len(sys.argv) > 2 else "/readyz"  # noqa: PLR2004 -- the second argument
    try:
        said = answer(port, path)
    except OSError as error:
        sys.stdout.write(f"port {port}: {error}\n")
        return 1
    head, _, body = said.partition(b"\r\n\r\n")
    status = head.split(maxsplit=2)[1:2]
    if status == [b"200"]:
        return 0
    sys.stdout.write(f"{head[:80]!r} {body[:400].decode(errors='replace')}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
