"""As much of HTTP/1.1 as a cheap client needs: one kept connection, one request at a time."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit


class AnswerError(Exception):
    """The server answered what nobody asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the headers in lower case, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def require(self, status: int) -> None:
        """Raise AnswerError where it is another."""
        if self.status != status:
            raise AnswerError(f"{self.status} {self.body[:300]!r}")


class Connection:
    """A connection that is opened anew where the server closed it between two requests."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    async def to(cls, url: str) -> "Connection":
        """An open one."""
        parts = urlsplit(url)
        connection = cls(parts.hostname or "127.0.0.1", parts.port or 80)
        await connection._open()
        return connection

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 20)

    async def ask(self, request: bytes) -> Answer:
        """Send a request made beforehand and read the answer."""
        assert self._reader is not None
        assert self._writer is not None
        if self._reader.at_eof():
            self.close()
            await self._open()
        self._writer.write(request)
        return await self._answer(self._reader)

    @staticmethod
    async def _answer(reader: asyncio.StreamReader) -> Answer:
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            pieces = []
            while size := int((await reader.readline()).split(b";")[0], 16):
                pieces.append(await reader.readexactly(size))
                await reader.readexactly(2)
            await reader.readline()
            body = b"".join(pieces)
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(status.split()[1]), headers, body)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
