"""Which web sites' pages may send a line's form and see the answer: CORS, by the Fetch standard."""

from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STATE: Final = "allowed_origin"
PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "content-type, idempotency-key",
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = "Retry-After"


def allow(state: Any, origin: str) -> None:
    """Let the pages of an origin see what this request is answered, whatever it is."""
    setattr(state, _STATE, origin)


class OriginHeaders:
    """Adds the headers to every answer of a request whose origin was allowed, refusals too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            origin = scope.get("state", {}).get(_STATE)
            if message["type"] == "http.response.start" and origin is not None:
                headers = MutableHeaders(scope=message)
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = _EXPOSED
                headers.add_vary_header("Origin")
            await send(message)

        await self._app(scope, receive, send_with_headers)
