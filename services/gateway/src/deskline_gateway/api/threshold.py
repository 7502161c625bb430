"""The threshold: who finds no room is sent away here, before anything was spent on them."""

import time
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deskline_gateway.api import problems
from deskline_gateway.domain.languages import language_of
from deskline_gateway.domain.room import Room
from deskline_gateway.figures import PLACES, SHED

# What the chassis adds to every service; the door has no rule for them, since nobody acts in them.
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class Threshold:
    """Lets in as many requests as there is room for; a place is given back when the answer begins.

    An open live view takes none of them: it has limits of its own.
    """

    def __init__(self, app: ASGIApp, room: Room, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._room = room
        self._clock = clock
        PLACES.set_function(lambda: room.places)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        if not self._room.enter():
            SHED.inc()
            language = language_of(Headers(scope=scope).get("accept-language"))
            await problems.overloaded().response_in(language)(scope, receive, send)
            return
        await self._inside(scope, receive, send)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        entered, is_inside = self._clock(), True

        def leave() -> None:
            nonlocal is_inside
            if is_inside:
                is_inside = False
                self._room.leave(entered, self._clock())

        async def send_and_leave(message: Message) -> None:
            leave()
            await send(message)

        try:
            await self._app(scope, receive, send_and_leave)
        finally:
            leave()
