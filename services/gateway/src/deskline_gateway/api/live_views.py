"""Live views: whether somebody may watch, what the stream begins with, and whether they still may."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote
from uuid import UUID

import structlog
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from deskline_chassis.http import Problem
from deskline_chassis.identity import Identity
from deskline_gateway.adapters.audience import Audience, StreamsFullError, Subscription
from deskline_gateway.api import problems
from deskline_gateway.api.admission import Admission, Admitted
from deskline_gateway.api.asking import Asking, is_success, passed_on
from deskline_gateway.api.event_stream import EventStream
from deskline_gateway.domain.headers import inward
from deskline_gateway.domain.rules import Rule
from deskline_gateway.ports import Answer, OwnerAwayError

log = structlog.get_logger(__name__)

LISTED_PAGES: Final = 5
"""Pages of 100: of a fuller queue, the longest waiting are watched from the beginning."""
TRUST_SECONDS: Final = 300.0
"""How long a stream lasts while nobody can say whether its reader still may."""
_RETRY_SECONDS: Final = 5.0
_UNAVAILABLE: Final = 500

_ETAG: Final = re.compile(r'"([1-9][0-9]{0,17})"')


@dataclass(frozen=True, slots=True)
class LiveViews:
    """Opens streams; `confirm_seconds` is how often an open one is judged anew."""

    audience: Audience
    admission: Admission
    asking: Asking
    confirm_seconds: float = 60.0
    heartbeat_seconds: float = 15.0
    send_seconds: float = 10.0

    async def open(self, rule: Rule, path: str, request: Request, admitted: Admitted) -> Response:
        """A stream, or the owner's refusal; raises Problem and OwnerAwayError."""
        if admitted.token is None:
            raise problems.token_refused()
        held = ExitStack()
        try:
            (subject,) = request.path_params.values()
            one = self._subscribed(held, rule, UUID(subject), admitted.token)
            # Asked only now, so that nothing that happens meanwhile is missed.
            answer = await self._ask(rule, path, request, admitted.identity)
            if not is_success(answer):
                return passed_on(rule.owner, answer)
            if one.queue is not None:
                self.audience.list_tickets(one, await self._tickets_in(one.queue, admitted.identity))
            return EventStream(
                one,
                held.pop_all(),
                self._guarded(rule, path, request, one),
                version=None if one.ticket is None else _version(answer),
                again=bool(request.headers.getlist("last-event-id")),
                heartbeat_seconds=self.heartbeat_seconds,
                send_seconds=self.send_seconds,
            )
        finally:
            held.close()

    def _subscribed(self, held: ExitStack, rule: Rule, subject: UUID, token: UUID) -> Subscription:
        try:
            held.enter_context(self.audience.place(token))
        except StreamsFullError as full:
            raise problems.streams_full(everybody=full.everybody) from None
        of_queue = "queue_id" in rule.parameters
        return held.enter_context(
            self.audience.subscribed(queue=subject) if of_queue else self.audience.subscribed(ticket=subject)
        )

    async def _ask(self, rule: Rule, path: str, request: Request, identity: Identity) -> Answer:
        language = inward(request.headers.items()).get("accept-language")
        headers = {} if language is None else {"accept-language": language}
        query = b"limit=1" if "queue_id" in rule.parameters else b""
        return await self.asking.ask(rule.owner, identity, "GET", path, query=query, headers=headers)

    @asynccontextmanager
    async def _guarded(
        self, rule: Rule, path: str, request: Request, one: Subscription
    ) -> AsyncIterator[None]:
        guard = asyncio.create_task(self._guard(rule, path, request, one))
        try:
            yield
        finally:
            guard.cancel()
            (ended,) = await asyncio.gather(guard, return_exceptions=True)
            if isinstance(ended, Exception):
                log.error("the guard of a live view failed", exc_info=ended)

    async def _guard(self, rule: Rule, path: str, request: Request, one: Subscription) -> None:
        """End the stream when its reader's token or right has ended."""
        allowed_at, pause = time.monotonic(), self.confirm_seconds
        try:
            while True:
                await asyncio.sleep(pause)
                allowed = await self._still_allowed(rule, path, request)
                if allowed:
                    allowed_at, pause = time.monotonic(), self.confirm_seconds
                elif allowed is False or time.monotonic() - allowed_at > TRUST_SECONDS:
                    return
                else:
                    pause = min(self.confirm_seconds, _RETRY_SECONDS)
        finally:
            # However the guard ends, nothing is told without it.
            one.end()

    async def _still_allowed(self, rule: Rule, path: str, request: Request) -> bool | None:
        """None where nobody can say."""
        try:
            identity = (await self.admission.identify(request)).identity
            if not rule.allows(identity.roles):
                return False
            answer = await self._ask(rule, path, request, identity)
        except Problem as refused:
            return None if refused.status >= _UNAVAILABLE else False
        except OwnerAwayError:
            return None
        return None if answer.status >= _UNAVAILABLE else is_success(answer)

    async def _tickets_in(self, queue: UUID, identity: Identity) -> frozenset[UUID]:
        found: set[UUID] = set()
        cursor = ""
        for _ in range(LISTED_PAGES):
            query = f"queue_id={queue}&open=true&limit=100{cursor}".encode()
            answer = await self.asking.ask("analytics", identity, "GET", "/v1/tickets", query=query)
            page = _page(answer)
            found |= {item.ticket_id for item in page.items}
            if page.next_cursor is None:
                break
            cursor = f"&cursor={quote(page.next_cursor, safe='')}"
        return frozenset(found)


class _Item(BaseModel):
    ticket_id: UUID


class _Page(BaseModel):
    items: list[_Item]
    next_cursor: str | None


def _page(answer: Answer) -> _Page:
    if not is_success(answer):
        log.warning("tickets of a queue can't be listed", status=answer.status)
        raise problems.owner_away("analytics")
    try:
        return _Page.model_validate_json(answer.body)
    except ValidationError:
        raise problems.owner_unreadable("analytics") from None


def _version(answer: Answer) -> int | None:
    etag = next((value for name, value in answer.headers if name.lower() == "etag"), "")
    found = _ETAG.fullmatch(etag)
    return None if found is None else int(found.group(1))
