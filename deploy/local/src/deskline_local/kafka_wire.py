"""One request of Kafka's protocol, to see that a broker serves and that it is ours."""

import socket
import struct

METADATA, VERSION = 3, 2


def cluster_id(host: str, port: int, timeout: float = 2.0) -> str | None:
    """The id of the cluster that answers there; None as long as none with a broker does."""
    client = b"deskline"
    body = struct.pack(f">hhih{len(client)}si", METADATA, VERSION, 1, len(client), client, 0)  # no topics
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(struct.pack(">i", len(body)) + body)
            with connection.makefile("rb") as answer:
                (size,) = struct.unpack(">i", answer.read(4))
                return _read_cluster(answer.read(size))
    except (OSError, struct.error, IndexError):
        return None


def _read_cluster(data: bytes) -> str | None:
    def text(at: int) -> tuple[str | None, int]:
        (length,) = struct.unpack_from(">h", data, at)
        at += 2
        return (None, at) if length < 0 else (data[at : at + length].decode(), at + length)

    (brokers,) = struct.unpack_from(">i", data, 4)
    at = 8
    for _ in range(brokers):
        _, at = text(at + 4)  # node id, host
        _, at = text(at + 4)  # port, rack
    return text(at)[0] if brokers else None
