"""The wiring of analytics, the only one: serve, migrate, parked, rebuild."""

from deskline_analytics.adapters.erasing import forget_while_serving
from deskline_analytics.api.routes import add_routes
from deskline_analytics.consumer import live_reader
from deskline_analytics.rebuild import rebuild_command
from deskline_analytics.settings import AnalyticsSettings
from deskline_chassis.runtime import Run
from deskline_chassis.service import Parts, Service, command_line


def _loops(parts: Parts) -> dict[str, Run]:
    return {"erasing": forget_while_serving(parts.database)}


SERVICE = Service(
    settings=AnalyticsSettings,
    package="deskline_analytics",
    routes=add_routes,
    reader=lambda _parts: live_reader(),
    loops=_loops,
)


def main() -> None:
    """Run the command line."""
    app = command_line(SERVICE)
    app.command("rebuild")(rebuild_command)
    app()
