"""Intake's own figures."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from deskline_chassis.metrics import REGISTRY

MAILS: Final = Counter(
    "deskline_intake_mails_total",
    "Mails at the door by outcome: accepted, refused (5xx) or deferred (4xx).",
    ["outcome"],
    registry=REGISTRY,
)
ANNOUNCED: Final = Counter(
    "deskline_intake_announced_total",
    "Stored messages by outcome: parsed, failed (announced with a notice), duplicate or erased.",
    ["outcome"],
    registry=REGISTRY,
)
FORMS: Final = Counter(
    "deskline_intake_forms_total",
    "Forms by outcome: accepted, repeated, trapped (a field that nobody sees was filled), or why refused.",
    ["outcome"],
    registry=REGISTRY,
)
ERASED: Final = Counter("deskline_intake_people_erased_total", "People who were erased.", registry=REGISTRY)
CONNECTIONS: Final = Gauge(
    "deskline_intake_smtp_connections", "Connections at the mail door.", registry=REGISTRY
)
IN_FLIGHT: Final = Gauge(
    "deskline_intake_smtp_in_flight_bytes",
    "Bytes of mails that are being received or stored.",
    registry=REGISTRY,
)
BACKLOG: Final = Gauge("deskline_intake_backlog", "Accepted mails that wait to be read.", registry=REGISTRY)
WAIT_SECONDS: Final = Gauge(
    "deskline_intake_wait_seconds",
    "How long what was accepted will take at a stage: unread, unannounced, or a reader of the deployment.",
    ["stage"],
    registry=REGISTRY,
)
SHEDDING: Final = Gauge(
    "deskline_intake_shedding",
    "1 while the doors send messages away, as too much is on its way already.",
    registry=REGISTRY,
)
SHED: Final = Counter(
    "deskline_intake_shed_total",
    "Messages that were sent away with 4xx or 503, as too much was on its way already; by door: mail, form.",
    ["door"],
    registry=REGISTRY,
)
READ_SECONDS: Final = Histogram(
    "deskline_intake_read_seconds",
    "From a mail's acceptance to its announcement's commit.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    registry=REGISTRY,
)
OBJECTS_SWEPT: Final = Counter(
    "deskline_intake_objects_swept_total", "Objects removed that no message has.", registry=REGISTRY
)
