"""Analytics, wired."""

from deskline_analytics.adapters.erasing import forget_while_serving
from deskline_analytics.api.routes import add_routes
from deskline_analytics.consumer import live_reader
from deskline_chassis.loops import Run
from deskline_chassis.serving import Serving, ServingParts


def _loops(parts: ServingParts) -> dict[str, Run]:
    return {"erasing": forget_while_serving(parts.database)}


SERVING = Serving(routes=add_routes, reader=lambda _parts: live_reader(), loops=_loops)
