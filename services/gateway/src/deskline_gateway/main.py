"""The command line of the gateway."""

from typing import TYPE_CHECKING

from deskline_chassis.service import Service, command_line
from deskline_gateway.settings import GatewaySettings
from deskline_gateway.token_commands import token_commands

if TYPE_CHECKING:
    from deskline_chassis.serving import Serving


def _serving() -> "Serving":
    from deskline_gateway.serving import SERVING

    return SERVING


SERVICE = Service(GatewaySettings, "deskline_gateway", _serving, commands={"token": token_commands})


def main() -> None:
    """The command `deskline-gateway`."""
    command_line(SERVICE)()


if __name__ == "__main__":
    main()
