"""The command line of routing."""

from typing import TYPE_CHECKING

from deskline_chassis.service import Service, command_line
from deskline_routing.commands import operators, queues, teams
from deskline_routing.settings import RoutingSettings

if TYPE_CHECKING:
    from deskline_chassis.serving import Serving


def _serving() -> "Serving":
    from deskline_routing.serving import SERVING

    return SERVING


SERVICE = Service(
    RoutingSettings,
    "deskline_routing",
    _serving,
    reads=True,
    announces=True,
    commands={"operator": operators, "team": teams, "queue": queues},
)


def main() -> None:
    """The command `deskline-routing`."""
    command_line(SERVICE)()


if __name__ == "__main__":
    main()
