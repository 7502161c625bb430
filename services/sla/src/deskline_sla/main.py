"""The command line of sla."""

from typing import TYPE_CHECKING

from deskline_chassis.service import Service, command_line
from deskline_chassis.settings import load
from deskline_sla.commands import calendar_commands, policy_commands
from deskline_sla.settings import SlaSettings

if TYPE_CHECKING:
    from deskline_chassis.serving import Serving
    from deskline_sla.adapters.clock_desk import Desks


def _serving() -> "Serving":
    from deskline_sla.serving import SERVING

    return SERVING


def _opened() -> "Desks":
    from deskline_chassis.serving import ServingParts
    from deskline_sla.serving import desks_of

    return desks_of(ServingParts(load(SlaSettings)))


SERVICE = Service(
    SlaSettings,
    "deskline_sla",
    _serving,
    reads=True,
    announces=True,
    commands={"policy": policy_commands(_opened), "calendar": calendar_commands(_opened)},
)


def main() -> None:
    """The command `deskline-sla`."""
    command_line(SERVICE)()


if __name__ == "__main__":
    main()
