"""HTTP's door: requests become commands and queries."""

from deskline_sla.api.routes import add_routes

__all__ = ["add_routes"]
