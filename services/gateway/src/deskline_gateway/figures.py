"""The door's own figures."""

from typing import Final

from prometheus_client import Counter, Gauge

from deskline_chassis.metrics import REGISTRY

OWNER_UP: Final = Gauge(
    "deskline_gateway_owner_up",
    "1 when an owner's process answered its probe; readiness does not depend on it.",
    ["owner"],
    registry=REGISTRY,
)
REQUESTS: Final = Counter(
    "deskline_gateway_requests_total",
    "Requests by route and by the class of their answer: 2xx, 4xx or 5xx.",
    ["route", "outcome"],
    registry=REGISTRY,
)
