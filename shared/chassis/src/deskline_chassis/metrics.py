"""Metrics: one registry for the process, and the named figures of relay, readers and loops."""

from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

# Labels are names of ours (topic, reader, loop, outcome), never an id, an address or a text.
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

RELAY_EVENTS: Final = Counter(
    "deskline_relay_events_total",
    "Events that the broker acknowledged to this relay.",
    ["topic"],
    registry=REGISTRY,
)
RELAY_EPOCH: Final = Gauge(
    "deskline_relay_epoch",
    "Epoch under which this owner's events are published; it rises when the broker lost some.",
    registry=REGISTRY,
)
RELAY_LEADER: Final = Gauge(
    "deskline_relay_leader", "1 while this process leads its database's relay.", registry=REGISTRY
)
OUTBOX_DEPTH: Final = Gauge(
    "deskline_outbox_depth",
    "Committed events that are not yet acknowledged by the broker.",
    registry=REGISTRY,
)
RELAY_SECONDS: Final = Histogram(
    "deskline_relay_seconds",
    "From an event's commit to the broker's acknowledgement.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
READER_RECORDS: Final = Counter(
    "deskline_reader_records_total",
    "Records by what became of them: applied, repeated, waiting, parked or ignored.",
    ["reader", "outcome"],
    registry=REGISTRY,
)
READER_LAG: Final = Gauge(
    "deskline_reader_lag",
    "Records of an assigned partition that the reader has not passed yet.",
    ["reader", "topic", "partition"],
    registry=REGISTRY,
)
READER_PARKED: Final = Gauge(
    "deskline_reader_parked", "Records parked, until somebody redrives them.", ["reader"], registry=REGISTRY
)
READER_PARKING_ALARM: Final = Gauge(
    "deskline_reader_parking_alarm",
    "1 while more than 20 streams were newly parked within a minute.",
    ["reader"],
    registry=REGISTRY,
)
READER_WAITING: Final = Gauge(
    "deskline_reader_waiting",
    "Records waiting for an earlier one or for a key.",
    ["reader"],
    registry=REGISTRY,
)
READER_BATCH_SECONDS: Final = Histogram(
    "deskline_reader_batch_seconds",
    "From a batch's arrival to the commit of its effects.",
    ["reader"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
READER_REBUILD_NEEDED: Final = Gauge(
    "deskline_reader_rebuild_needed",
    "1 when what the reader built rests on history that no longer holds.",
    ["reader"],
    registry=REGISTRY,
)
LOOP_RED: Final = Gauge(
    "deskline_loop_red",
    "1 when a loop lacks a dependency or made no progress for 15 s.",
    ["loop"],
    registry=REGISTRY,
)


def render() -> tuple[bytes, str]:
    """All figures in the Prometheus text format, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
