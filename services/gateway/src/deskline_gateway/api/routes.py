"""The routes, made from the table of rules and from nothing else."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute

from deskline_chassis.http import create_app
from deskline_chassis.runtime import Runtime
from deskline_gateway.api.describing import describe
from deskline_gateway.api.outward import Outward
from deskline_gateway.api.problems import Refusal, on_refusal
from deskline_gateway.api.threshold import PROBES, Threshold
from deskline_gateway.domain.room import Room
from deskline_gateway.domain.rules import Rule
from deskline_gateway.domain.table import RULES

PassOn = Callable[[Rule, Request], Awaitable[Response]]
"""What does the work behind each route."""

VERSION: Final = "1"

# Under it lies the one route that strangers send bodies to; no other route under it takes any.
_FORMS: Final = "/v1/lines/"
FORM_BYTES: Final = 128 * 1024


class UnruledRouteError(Exception):
    """A route of the application is not in the table of rules, or a rule has no route."""

    safe_message = True


def create_gateway(runtime: Runtime, pass_on: PassOn, room: Room) -> FastAPI:
    """The door's application, for as many requests at once as there is room; raises UnruledRouteError."""
    app = create_app(
        "Deskline gateway", VERSION, runtime, body_limits={_FORMS: FORM_BYTES}, trust_traceparent=False
    )
    app.add_exception_handler(Refusal, on_refusal)
    for rule in RULES:
        app.add_api_route(
            rule.path, _endpoint(rule, pass_on), methods=[rule.method], name=rule.name, **describe(rule)
        )
    app.add_middleware(Threshold, room=room)
    app.add_middleware(Outward)
    check_rules(app)
    return app


def check_rules(app: FastAPI) -> None:
    """Deny by default: refuse an application whose routes are not exactly the table's."""
    ruled = {(rule.method, rule.path) for rule in RULES}
    routed = {
        (method, getattr(route, "path", "?"))
        for route in app.routes
        for method in getattr(route, "methods", None) or {"?"}
        if not (isinstance(route, APIRoute) and route.path in PROBES)
    }
    if ruled != routed or len(ruled) != len(RULES):
        differing = sorted(" ".join(route) for route in ruled ^ routed)
        raise UnruledRouteError(f"routes and rules differ: {', '.join(differing) or 'a rule is there twice'}")


def _endpoint(rule: Rule, pass_on: PassOn) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def endpoint(request: Request) -> Response:
        return await pass_on(rule, request)

    return endpoint
