"""Routing's own figures."""

from typing import Final

from prometheus_client import Counter

from deskline_chassis.metrics import REGISTRY

DECISIONS: Final = Counter(
    "deskline_routing_decisions_total",
    "Decisions by their fact: TicketQueued, OfferMade, NobodyAvailable, OfferWithdrawn, AssignmentWithdrawn.",
    ["fact"],
    registry=REGISTRY,
)
SET_AWAY: Final = Counter(
    "deskline_routing_set_away_total",
    "Operators set away after two offers in a row that they let time out.",
    registry=REGISTRY,
)
EXTENDED: Final = Counter(
    "deskline_routing_presence_extended_total",
    "Times that everybody present got one full period, as no heartbeat could be received.",
    registry=REGISTRY,
)
