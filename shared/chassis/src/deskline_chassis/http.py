"""HTTP: an application with probes and figures, one shape for every error, and a server as a loop."""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, ClassVar, Final

import psycopg
import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse
from opentelemetry.trace import Span
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deskline_chassis import metrics
from deskline_chassis.cursors import BadCursorError
from deskline_chassis.loops import Beat, FatalLoopError, Run
from deskline_chassis.runtime import Runtime
from deskline_chassis.settings import WRONG_SETTINGS
from deskline_chassis.telemetry import in_span, set_attributes, start_root, start_under

log = structlog.get_logger(__name__)

MIB: Final = 1024 * 1024
RETRY_AFTER_SECONDS: Final = 2

_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Problem(Exception):  # noqa: N818 -- RFC 9457's own word
    """An answer that is an error: status, a code for programs, a title and detail for people."""

    safe_message: ClassVar[bool] = True

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        # The detail may quote the caller: it is for the answer, not for the log.
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.headers = headers
        self.members = members

    def response(self) -> JSONResponse:
        """The answer as application/problem+json."""
        body: dict[str, Any] = {
            "type": f"urn:deskline:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail is not None:
            body["detail"] = self.detail
        headers = None if self.headers is None else dict(self.headers)
        return JSONResponse(
            self.members | body, self.status, headers=headers, media_type="application/problem+json"
        )


def create_app(
    title: str,
    version: str,
    runtime: Runtime,
    *,
    body_limit: int = MIB,
    body_limits: Mapping[str, int] | None = None,
    trust_traceparent: bool = False,
) -> FastAPI:
    """An application with probes and without pages; the service adds its routes.

    `body_limit` is in bytes, `body_limits` overrides it for paths that begin so. `trust_traceparent` is
    for services whose only caller is the gateway: an outsider's choice to sample would cost us.
    """
    app = FastAPI(
        title=title, version=version, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    _add_probes(app, runtime)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(StarletteHTTPException, _on_http_exception)
    app.add_exception_handler(BadCursorError, _on_bad_cursor)
    # psycopg_pool's PoolTimeout and PoolClosed are OperationalErrors.
    app.add_exception_handler(psycopg.OperationalError, _on_database_away)
    app.add_middleware(_BodyLimit, limit=body_limit, limits=body_limits or {})
    app.add_middleware(_Door, trust_traceparent=trust_traceparent)
    return app


def serve_http(app: FastAPI, host: str, port: int) -> Run:
    """A loop that serves the application until the process stops; port 0 takes a free one and logs it.

    Ends the process with exit code 2 when it can't listen there.
    """

    async def run(beat: Beat, stop: asyncio.Event) -> None:
        listener = _listen(host, port)
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                timeout_graceful_shutdown=5,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        log.info("listening", host=host, port=listener.getsockname()[1])
        try:
            while not stop.is_set() and not serving.done():
                beat.progress()
                await asyncio.wait({serving}, timeout=0.2)
        finally:
            server.should_exit = True
            await serving

    return run


class _Server(uvicorn.Server):
    """uvicorn without hands on the process's signals: they are the runtime's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Door:
    """Outermost: a span named by the route's template, and an answer even to what nobody caught."""

    def __init__(self, app: ASGIApp, *, trust_traceparent: bool) -> None:
        self._app = app
        self._trust_traceparent = trust_traceparent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        span = self._start(scope, method)
        with in_span(span):
            try:
                await self._app(scope, receive, send_and_note)
            except Exception:
                log.exception("request failed", route=_template(scope), method=method)
                if status:
                    raise
                await _unexpected().response()(scope, receive, send_and_note)
            finally:
                span.update_name(f"{method} {_template(scope)}")
                set_attributes(span, http_route=_template(scope), http_status=status)

    def _start(self, scope: Scope, method: str) -> Span:
        if self._trust_traceparent:
            given = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
            return start_under(method, given, http_method=method)
        return start_root(method, http_method=method)


class _BodyLimit:
    """Refuses bodies over a limit: at once when they say so, else as soon as they are."""

    def __init__(self, app: ASGIApp, *, limit: int, limits: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._limits = sorted(limits.items(), key=lambda item: -len(item[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((size for path, size in self._limits if scope["path"].startswith(path)), self._limit)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > limit:
            await _too_large(limit).response()(scope, receive, send)
            return
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                # FastAPI turns any other exception of a body's reading into a 400.
                raise _BodyTooLargeError(limit)
            return message

        await self._app(scope, receive_counted, send)


class _BodyTooLargeError(HTTPException):
    def __init__(self, limit: int) -> None:
        super().__init__(413)
        self.limit = limit


def _add_probes(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        if not runtime.live():
            raise Problem(503, "not_live", "A loop stands still")
        return {"status": "live"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> dict[str, str]:
        red = runtime.ready()
        if red:
            raise Problem(503, "not_ready", "Not every loop can work", loops=red)
        return {"status": "ready"}

    @app.get("/metrics", include_in_schema=False)
    async def figures() -> Response:
        body, content_type = metrics.render()
        return Response(body, media_type=content_type)


async def _on_problem(_request: Request, error: Exception) -> Response:
    return error.response() if isinstance(error, Problem) else _unexpected().response()


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    errors: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        "The request is not as this route takes it",
        errors=[{"field": _field(wrong["loc"]), "message": _message(wrong)} for wrong in errors[:100]],
    ).response()


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    if isinstance(error, _BodyTooLargeError):
        return _too_large(error.limit).response()
    status, headers = 500, None
    if isinstance(error, StarletteHTTPException):
        status, headers = error.status_code, error.headers
    title = HTTPStatus(status).phrase
    return Problem(status, title.lower().replace(" ", "_"), title, headers=headers).response()


async def _on_bad_cursor(_request: Request, error: Exception) -> Response:
    return Problem(400, "bad_cursor", "The cursor is not one of ours", str(error)).response()


async def _on_database_away(request: Request, error: Exception) -> Response:
    log.warning("database unavailable", route=_template(request.scope), exc_info=error)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database_unavailable",
        "The service can't reach its database; try again",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    ).response()


def _unexpected() -> Problem:
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "The service failed; the failure is logged"
    )


def _too_large(limit: int) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "The body is too large", limit_bytes=limit
    )


def _field(location: Sequence[int | str]) -> str:
    return ".".join(str(part)[:100] for part in location)


def _message(wrong: Mapping[str, Any]) -> str:
    text = str(wrong["msg"]).removeprefix("Value error, ")
    # "Input should be a valid UUID, found `x` at 1": after the comma pydantic quotes what it got.
    return text.partition(", ")[0] if str(wrong["type"]).endswith("_parsing") else text


def _template(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # create_server adds the address to the system's text; a name that can't be resolved has its own.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise FatalLoopError(WRONG_SETTINGS, f"can't listen on {host} port {port}: {why}") from None
