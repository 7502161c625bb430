"""The owners' HTTP: one pool of connections each, bounded in time and size, and nothing done twice."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)
from yarl import URL

from deskline_gateway.domain.rules import Owner
from deskline_gateway.ports import Answer, Call, OwnerAwayError

CONNECT_SECONDS: Final = 1.0
TOTAL_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024

# Shorter than uvicorn's 5 s: a command must not meet a connection that its owner is just closing.
_KEEPALIVE_SECONDS: Final = 3.0
_PROBE_SECONDS: Final = 1.0
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}
# What the client would add by itself, though the caller did not say it.
_UNWANTED: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
# What is refused before a byte of the request went out.
_NEVER_SENT: Final = (ClientConnectorError, ConnectionTimeoutError)


class HttpOwners:
    """The owners by their addresses; `total_seconds` bounds a call with its second try.

    Sessions belong to the event loop in which they are first asked.
    """

    def __init__(
        self, urls: Mapping[Owner, str], *, connections: int, total_seconds: float = TOTAL_SECONDS
    ) -> None:
        self._urls = dict(urls)
        self._connections = connections
        self._total_seconds = total_seconds
        self._sessions: dict[Owner, ClientSession] = {}

    async def ask(self, owner: Owner, call: Call) -> Answer:
        """Send the call, a GET a second time when its connection broke; raises OwnerAwayError."""
        try:
            async with asyncio.timeout(self._total_seconds):
                try:
                    return await self._send(owner, call)
                except TimeoutError:
                    raise
                except ClientError:
                    # A connection's failure, as against an owner that is there and slow.
                    if call.method != "GET":
                        raise
                    return await self._send(owner, call)
        except _NEVER_SENT as error:
            raise OwnerAwayError(owner, maybe_done=False) from error
        except (TimeoutError, ClientError) as error:
            raise OwnerAwayError(owner, maybe_done=True) from error

    async def reachable(self, owner: Owner) -> bool:
        """Whether the owner's process answers its probe."""
        url = URL(f"{self._urls[owner]}/healthz", encoded=True)
        try:
            async with self._session(owner).get(url, timeout=ClientTimeout(total=_PROBE_SECONDS)) as response:
                return response.ok
        except (TimeoutError, ClientError):
            return False

    async def close(self) -> None:
        """End all connections."""
        for session in self._sessions.values():
            await session.close()

    def _session(self, owner: Owner) -> ClientSession:
        session = self._sessions.get(owner)
        if session is None:
            session = self._sessions[owner] = ClientSession(
                connector=TCPConnector(limit=self._connections, keepalive_timeout=_KEEPALIVE_SECONDS),
                headers=_HEADERS,
                skip_auto_headers=_UNWANTED,
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=self._total_seconds, connect=CONNECT_SECONDS),
                auto_decompress=False,
                trust_env=False,
            )
            # It would send a PUT or DELETE again by itself.
            session._retry_connection = False  # noqa: SLF001 -- there is no public way
        return session

    async def _send(self, owner: Owner, call: Call) -> Answer:
        target = self._urls[owner] + call.path + (f"?{call.query.decode('latin-1')}" if call.query else "")
        async with self._session(owner).request(
            call.method,
            URL(target, encoded=True),
            headers=call.headers,
            data=None if call.method == "GET" else call.body,
            allow_redirects=False,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise OwnerAwayError(owner, maybe_done=True)
            return Answer(response.status, tuple(response.headers.items()), bytes(body))
