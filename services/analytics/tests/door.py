"""The service's application, asked as the gateway asks it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from deskline_analytics.api.routes import routes
from deskline_chassis.callers import trust
from deskline_chassis.http import create_app
from deskline_chassis.identity import HEADER, Identity, Verifier, sign
from deskline_chassis.runtime import Runtime

SOMEBODY = UUID(int=1)


class Door:
    """Asks the routes over a rig's read models."""

    def __init__(self, rig: Any, story: Any) -> None:
        self.rig, self.story = rig, story
        self.app = create_app("analytics", "1", Runtime("analytics"))
        trust(self.app, Verifier(rig.public_key, "analytics"))
        self.app.include_router(routes(rig.database))

    def headers(self, role: str | None, scope: str = "all", actor: UUID = SOMEBODY) -> dict[str, str]:
        if role is None:
            return {}
        identity = Identity(actor, frozenset({role}), scope)
        return {HEADER: sign(self.rig.private_key, identity, "analytics", datetime.now(UTC))}

    def get(
        self,
        path: str,
        role: str | None = "operator",
        *,
        scope: str = "all",
        actor: UUID = SOMEBODY,
        **parameters: Any,
    ) -> httpx.Response:
        headers = self.headers(role, scope, actor)
        return self.ask(lambda client: client.get(path, params=parameters or None, headers=headers))

    def search(
        self,
        text: str,
        role: str | None = "operator",
        *,
        scope: str = "all",
        actor: UUID = SOMEBODY,
        **more: Any,
    ) -> httpx.Response:
        headers, body = self.headers(role, scope, actor), {"text": text, **more}
        return self.ask(lambda client: client.post("/v1/tickets/search", json=body, headers=headers))

    def ask(self, call: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://analytics") as client:
                return await call(client)

        return asyncio.run(asked())

    def whole(self, limit: int, *, scope: str = "all", actor: UUID = SOMEBODY, **filters: Any) -> list[Any]:
        """All pages of the list."""
        items, cursor, pages = [], None, 0
        while cursor is not None or pages == 0:
            more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
            page = self.get("/v1/tickets", scope=scope, actor=actor, limit=limit, **filters, **more).json()
            items += page["items"]
            assert 0 < len(page["items"]) <= limit or pages == 0
            cursor, pages = page["next_cursor"], pages + 1
            assert pages <= len(self.story.tickets), "the list does not end"
        return items


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of a problem, as expected."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert answer.headers["content-type"] == "application/problem+json"
    return body
