"""The shapes of what passes the door, by owner; the owners validate, the door doesn't."""

from collections.abc import Mapping
from typing import Final

from deskline_gateway.api.contract import analytics, intake, notify, routing, sla, tickets
from deskline_gateway.api.contract.shared import Shape

SHAPES: Final[Mapping[str, Shape]] = {
    name: shape
    for owner in (intake, tickets, routing, sla, notify, analytics)
    for name, shape in owner.SHAPES.items()
}
"""Rule → what it takes and gives."""
