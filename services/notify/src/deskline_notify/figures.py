"""Notify's own figures."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from deskline_chassis.metrics import REGISTRY

NOTIFICATIONS: Final = Counter(
    "deskline_notify_notifications_total",
    "Notifications by kind and outcome: sent, failed, stale, capped, suppressed, nobody, retried.",
    ["kind", "outcome"],
    registry=REGISTRY,
)
QUEUE: Final = Gauge(
    "deskline_notify_queue",
    "Notifications not finished: pending, or waiting for an address or for who is meant.",
    ["state"],
    registry=REGISTRY,
)
OLDEST_SECONDS: Final = Gauge(
    "deskline_notify_oldest_unsent_seconds", "Age of the oldest unfinished notification.", registry=REGISTRY
)
SEND_SECONDS: Final = Histogram(
    "deskline_notify_send_seconds",
    "From a mail's handing over to the provider's answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    registry=REGISTRY,
)
TOLD_SECONDS: Final = Histogram(
    "deskline_notify_told_seconds",
    "From the fact's commit to the commit of its mail's result.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0),
    registry=REGISTRY,
)
