"""What every answer carries out of the door: headers that make it harmless, its trace's id, a language."""

import json
from typing import Any, Final
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deskline_chassis.telemetry import current_trace_id
from deskline_gateway.api.wordings import OF_CHASSIS
from deskline_gateway.domain.languages import Language, language_of
from deskline_gateway.domain.table import is_cross_origin

REQUEST_ID: Final = "X-Request-Id"

# OWASP's REST Security Cheat Sheet, "Security Headers".
_HARMLESS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
# Pages of any origin may send what anybody may send, without credentials; nothing else has CORS at all.
_CROSS_ORIGIN: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": f"Retry-After, {REQUEST_ID}",
}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, Accept-Language",
    "Access-Control-Max-Age": "600",
}


class Outward:
    """Completes all answers, those of the chassis' middleware too, and gives problems the trace's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        cross_origin = is_cross_origin(scope["path"])
        completed = _Completed(send, language_of(asked.get("accept-language")), cross_origin=cross_origin)
        if cross_origin and scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, completed)
            return
        await self._app(scope, receive, completed)


class _Completed:
    """Sends an answer on; a problem is held until it is whole."""

    def __init__(self, send: Send, language: Language, *, cross_origin: bool) -> None:
        self._send = send
        self._language: Language = language
        self._more = _HARMLESS | (_CROSS_ORIGIN if cross_origin else {})
        self._held: Message | None = None
        self._body = bytearray()
        self._request_id = ""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            # Inside the door's span here; without tracing any id is better than none.
            self._request_id = current_trace_id() or uuid4().hex
            headers[REQUEST_ID] = self._request_id
            headers.update(self._more)
            headers.setdefault("Cache-Control", "no-store")
            if headers.get("content-type", "").startswith("application/problem+json"):
                self._held = message
                return
        elif self._held is not None:
            self._body += message.get("body", b"")
            if message.get("more_body", False):
                return
            problem = json.loads(bytes(self._body)) | {"trace_id": self._request_id}
            headers = MutableHeaders(scope=self._held)
            self._explain(problem, headers)
            body = json.dumps(problem, ensure_ascii=False, separators=(",", ":")).encode()
            headers["Content-Length"] = str(len(body))
            held, self._held = self._held, None
            await self._send(held)
            message = {"type": "http.response.body", "body": body}
        await self._send(message)

    def _explain(self, problem: dict[str, Any], headers: MutableHeaders) -> None:
        """Add what the chassis leaves out of its own problems: a sentence, and the caller's language."""
        wording = OF_CHASSIS.get(problem.get("code", ""))
        if wording is None or "detail" in problem:
            return
        problem["title"], problem["detail"] = wording.said(self._language)
        headers["Content-Language"] = self._language
