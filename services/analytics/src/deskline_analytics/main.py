"""The command line of analytics."""

from typing import TYPE_CHECKING

from deskline_analytics.commands import rebuild_command
from deskline_analytics.settings import AnalyticsSettings
from deskline_chassis.service import Service, command_line

if TYPE_CHECKING:
    from deskline_chassis.serving import Serving


def _serving() -> "Serving":
    from deskline_analytics.serving import SERVING

    return SERVING


SERVICE = Service(AnalyticsSettings, "deskline_analytics", _serving, reads=True)


def main() -> None:
    """The command `deskline-analytics`."""
    app = command_line(SERVICE)
    app.command("rebuild")(rebuild_command)
    app()


if __name__ == "__main__":
    main()
