"""Sla, wired."""

from functools import cache

from deskline_chassis.applying import ReaderSpec
from deskline_chassis.deadlines import fire_deadlines
from deskline_chassis.loops import Run
from deskline_chassis.serving import Serving, ServingParts
from deskline_chassis.watermarks import Watermarks
from deskline_sla.adapters.clock_desk import WATCHED, Desks
from deskline_sla.api.routes import add_routes
from deskline_sla.consumer import reader_of
from deskline_sla.timers import fires_of, keep_rules


@cache
def _watermarks(parts: ServingParts) -> Watermarks:
    return Watermarks(parts.broker, [WATCHED])


@cache
def desks_of(parts: ServingParts) -> Desks:
    """One for the process."""
    return Desks(parts.database, parts.log, _watermarks(parts))


def _reader(parts: ServingParts) -> ReaderSpec:
    return reader_of(desks_of(parts))


def _routes(parts: ServingParts) -> None:
    desks = desks_of(parts)
    add_routes(parts.app, parts.database, desks.rules, desks.open)


def _loops(parts: ServingParts) -> dict[str, Run]:
    desks = desks_of(parts)
    return {
        # Timers decide no breach without it: with `serve --only`, name both.
        "watermarks": _watermarks(parts).run,
        "timers": fire_deadlines(parts.database, parts.log, fires_of(desks)),
        "rules": keep_rules(desks),
    }


SERVING = Serving(routes=_routes, reader=_reader, loops=_loops)
