"""The command line of notify."""

from typing import TYPE_CHECKING

from deskline_chassis.service import Service, command_line
from deskline_notify.settings import NotifySettings

if TYPE_CHECKING:
    from deskline_chassis.serving import Serving


def _serving() -> "Serving":
    from deskline_notify.serving import SERVING

    return SERVING


SERVICE = Service(NotifySettings, "deskline_notify", _serving, reads=True, announces=True)


def main() -> None:
    """The command `deskline-notify`."""
    command_line(SERVICE)()


if __name__ == "__main__":
    main()
