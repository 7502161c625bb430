"""What every answer carries out of the door: headers that make it harmless, and its trace's id."""

import json
from typing import Final
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deskline_chassis.telemetry import current_trace_id
from deskline_gateway.api.problems import SENTENCES

REQUEST_ID: Final = "X-Request-Id"

# OWASP's REST Security Cheat Sheet, "Security Headers". There is no CORS: no browser page of another
# origin has business here.
_HARMLESS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Outward:
    """Completes all answers, those of the chassis' middleware too, and gives problems the trace's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Completed(send))


class _Completed:
    """Sends an answer on; a problem is held until it is whole."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: Message | None = None
        self._body = bytearray()
        self._request_id = ""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            # Inside the door's span here; without tracing any id is better than none.
            self._request_id = current_trace_id() or uuid4().hex
            headers[REQUEST_ID] = self._request_id
            headers.update(_HARMLESS)
            headers.setdefault("Cache-Control", "no-store")
            if headers.get("content-type", "").startswith("application/problem+json"):
                self._held = message
                return
        elif self._held is not None:
            self._body += message.get("body", b"")
            if message.get("more_body", False):
                return
            body = _completed(bytes(self._body), self._request_id)
            MutableHeaders(scope=self._held)["Content-Length"] = str(len(body))
            held, self._held = self._held, None
            await self._send(held)
            message = {"type": "http.response.body", "body": body}
        await self._send(message)


def _completed(body: bytes, request_id: str) -> bytes:
    problem = json.loads(body)
    problem["trace_id"] = request_id
    if "detail" not in problem and problem.get("code") in SENTENCES:
        problem["detail"] = SENTENCES[problem["code"]]
    return json.dumps(problem, ensure_ascii=False, separators=(",", ":")).encode()
