"""The command line of tickets."""

from typing import TYPE_CHECKING

from deskline_chassis.service import Service, command_line
from deskline_tickets.commands import rebuild
from deskline_tickets.settings import TicketsSettings

if TYPE_CHECKING:
    from deskline_chassis.serving import Serving


def _serving() -> "Serving":
    from deskline_tickets.serving import SERVING

    return SERVING


SERVICE = Service(
    TicketsSettings,
    "deskline_tickets",
    _serving,
    reads=True,
    announces=True,
    commands={"rebuild": rebuild},
)


def main() -> None:
    """The command `deskline-tickets`."""
    command_line(SERVICE)()


if __name__ == "__main__":
    main()
