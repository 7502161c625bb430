"""Routing, wired."""

from deskline_chassis.applying import ReaderSpec
from deskline_chassis.deadlines import fire_deadlines
from deskline_chassis.loops import Run
from deskline_chassis.serving import Serving, ServingParts
from deskline_routing.adapters.desk import OFFER_TIMEOUT, Desks
from deskline_routing.adapters.hearing import Hearing
from deskline_routing.api.routes import add_routes
from deskline_routing.consumer import reader_of
from deskline_routing.settings import RoutingSettings
from deskline_routing.timers import offer_timeouts, presence_loop, sweep_loop


def _reader(parts: ServingParts) -> ReaderSpec:
    return reader_of(parts.log)


def _routes(parts: ServingParts) -> None:
    settings = _settings(parts)
    open_desk = Desks(parts.database, parts.log).open
    add_routes(parts.app, parts.database, parts.log, open_desk, settings.presence_seconds)


def _loops(parts: ServingParts) -> dict[str, Run]:
    settings = _settings(parts)
    open_desk = Desks(parts.database, parts.log).open
    hearing = Hearing(parts.database, settings.presence_seconds)
    return {
        "deadlines": fire_deadlines(parts.database, parts.log, {OFFER_TIMEOUT: offer_timeouts(parts.log)}),
        "presence": presence_loop(hearing, open_desk),
        "sweeper": sweep_loop(hearing, open_desk, settings.sweep_seconds),
    }


def _settings(parts: ServingParts) -> RoutingSettings:
    assert isinstance(parts.settings, RoutingSettings)  # noqa: S101 -- main.py names them
    return parts.settings


SERVING = Serving(routes=_routes, reader=_reader, loops=_loops, owns_keys=True)
