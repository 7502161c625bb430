"""The owners' HTTP: one pool of connections each, bounded in time and size, and nothing done twice."""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from deskline_gateway.domain.rules import Owner
from deskline_gateway.ports import Answer, Call, OwnerAwayError

CONNECT_SECONDS: Final = 1.0
TOTAL_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024

# Shorter than uvicorn's 5 s: a command must not meet a connection that its owner is just closing.
_KEEPALIVE_SECONDS: Final = 3.0
_PROBE_SECONDS: Final = 1.0
# What is refused before a byte of the request went out.
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# A connection's failures, as against an owner that is there and slow.
_BROKEN: Final = (httpx.NetworkError, httpx.RemoteProtocolError)


class HttpOwners:
    """The owners by their addresses; `total_seconds` bounds a call with its second try."""

    def __init__(
        self, urls: Mapping[Owner, str], *, connections: int, total_seconds: float = TOTAL_SECONDS
    ) -> None:
        self._total_seconds = total_seconds
        self._clients = {
            owner: httpx.AsyncClient(
                base_url=url,
                headers={"accept": "application/json", "accept-encoding": "identity"},
                timeout=httpx.Timeout(total_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
                limits=httpx.Limits(
                    max_connections=connections,
                    max_keepalive_connections=connections,
                    keepalive_expiry=_KEEPALIVE_SECONDS,
                ),
                follow_redirects=False,
                trust_env=False,
            )
            for owner, url in urls.items()
        }

    async def ask(self, owner: Owner, call: Call) -> Answer:
        """Send the call, a GET a second time when its connection broke; raises OwnerAwayError."""
        try:
            async with asyncio.timeout(self._total_seconds):
                try:
                    return await self._send(owner, call)
                except _BROKEN:
                    if call.method != "GET":
                        raise
                    return await self._send(owner, call)
        except _NEVER_SENT as error:
            raise OwnerAwayError(owner, maybe_done=False) from error
        except (TimeoutError, httpx.HTTPError) as error:
            raise OwnerAwayError(owner, maybe_done=True) from error

    async def reachable(self, owner: Owner) -> bool:
        """Whether the owner's process answers its probe."""
        try:
            response = await self._clients[owner].get("/healthz", timeout=_PROBE_SECONDS)
        except httpx.HTTPError:
            return False
        return response.is_success

    async def close(self) -> None:
        """End all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def _send(self, owner: Owner, call: Call) -> Answer:
        client = self._clients[owner]
        target = call.path.encode("ascii") + (b"?" + call.query if call.query else b"")
        async with client.stream(
            call.method,
            client.base_url.copy_with(raw_path=target),
            headers=dict(call.headers),
            content=None if call.method == "GET" else call.body,
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise OwnerAwayError(owner, maybe_done=True)
            return Answer(response.status_code, tuple(response.headers.multi_items()), bytes(body))
