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
SHED: Final = Counter(
    "deskline_gateway_shed_total",
    "Requests refused with 503 as so many were under way already.",
    registry=REGISTRY,
)
PLACES: Final = Gauge(
    "deskline_gateway_places",
    "How many requests may be under way; fewer than is set where owners are slow.",
    registry=REGISTRY,
)
LIVE_UP: Final = Gauge(
    "deskline_gateway_live_up",
    "1 while live views hear of events; streams stay open without, and readiness does not depend on it.",
    registry=REGISTRY,
)
LIVE_STREAMS: Final = Gauge(
    "deskline_gateway_live_streams", "Streams of live views that are open.", registry=REGISTRY
)
LIVE_CUT: Final = Counter(
    "deskline_gateway_live_cut_total",
    "Streams that were ended because they were not read fast enough.",
    registry=REGISTRY,
)
LIVE_RECORDS: Final = Counter(
    "deskline_gateway_live_records_total",
    "Records that live views were made from: told, repeated or unreadable.",
    ["outcome"],
    registry=REGISTRY,
)
