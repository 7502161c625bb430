"""The wiring of routing, and its command line."""

from deskline_chassis.applying import ReaderSpec
from deskline_chassis.deadlines import fire_deadlines
from deskline_chassis.runtime import Run
from deskline_chassis.service import Parts, Service, command_line
from deskline_routing.adapters.desk import OFFER_TIMEOUT, Desks
from deskline_routing.adapters.hearing import Hearing
from deskline_routing.api import add_routes
from deskline_routing.commands import operators, queues, teams
from deskline_routing.consumer import reader_of
from deskline_routing.settings import RoutingSettings
from deskline_routing.timers import offer_timeouts, presence_loop, sweep_loop


def _reader(parts: Parts) -> ReaderSpec:
    return reader_of(parts.log)


def _routes(parts: Parts) -> None:
    settings = _settings(parts)
    open_desk = Desks(parts.database, parts.log).open
    add_routes(parts.app, parts.database, parts.log, open_desk, settings.presence_seconds)


def _loops(parts: Parts) -> dict[str, Run]:
    settings = _settings(parts)
    open_desk = Desks(parts.database, parts.log).open
    hearing = Hearing(parts.database, settings.presence_seconds)
    return {
        "deadlines": fire_deadlines(parts.database, parts.log, {OFFER_TIMEOUT: offer_timeouts(parts.log)}),
        "presence": presence_loop(hearing, open_desk),
        "sweeper": sweep_loop(hearing, open_desk, settings.sweep_seconds),
    }


def _settings(parts: Parts) -> RoutingSettings:
    assert isinstance(parts.settings, RoutingSettings)  # noqa: S101 -- the service below says so
    return parts.settings


SERVICE = Service(
    RoutingSettings,
    "deskline_routing",
    routes=_routes,
    reader=_reader,
    loops=_loops,
    announces=True,
    owns_keys=True,
    commands={"operator": operators, "team": teams, "queue": queues},
)


def main() -> None:
    """The command `deskline-routing`."""
    command_line(SERVICE)()


if __name__ == "__main__":
    main()
