"""The wiring of sla, and its command line."""

from functools import cache

from deskline_chassis.applying import ReaderSpec
from deskline_chassis.deadlines import fire_deadlines
from deskline_chassis.runtime import Run
from deskline_chassis.service import Parts, Service, command_line
from deskline_chassis.settings import load
from deskline_chassis.watermarks import Watermarks
from deskline_sla.adapters.clock_desk import WATCHED, Desks
from deskline_sla.api import add_routes
from deskline_sla.commands import calendar_commands, policy_commands
from deskline_sla.consumer import reader_of
from deskline_sla.settings import SlaSettings
from deskline_sla.timers import fires_of, keep_rules


@cache
def _watermarks(parts: Parts) -> Watermarks:
    return Watermarks(parts.broker, [WATCHED])


@cache
def _desks(parts: Parts) -> Desks:
    return Desks(parts.database, parts.log, _watermarks(parts))


def _reader(parts: Parts) -> ReaderSpec:
    return reader_of(_desks(parts))


def _routes(parts: Parts) -> None:
    desks = _desks(parts)
    add_routes(parts.app, parts.database, desks.rules, desks.open)


def _loops(parts: Parts) -> dict[str, Run]:
    desks = _desks(parts)
    return {
        # Timers decide no breach without it: with `serve --only`, name both.
        "watermarks": _watermarks(parts).run,
        "timers": fire_deadlines(parts.database, parts.log, fires_of(desks)),
        "rules": keep_rules(desks),
    }


def _opened() -> Desks:
    return _desks(Parts(load(SlaSettings)))


SERVICE = Service(
    SlaSettings,
    "deskline_sla",
    routes=_routes,
    reader=_reader,
    loops=_loops,
    announces=True,
    commands={"policy": policy_commands(_opened), "calendar": calendar_commands(_opened)},
)


def main() -> None:
    """Run the command line."""
    command_line(SERVICE)()
