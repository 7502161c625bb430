"""HTTP's door: forms, lines and contacts; requests become commands and queries."""

from deskline_intake.api.routes import FORM_BODY_BYTES, Desk, add_routes

__all__ = ["FORM_BODY_BYTES", "Desk", "add_routes"]
