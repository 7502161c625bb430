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
DEADLINES: Final = Counter(
    "deskline_deadlines_total",
    "Deadlines by what became of them: fired, deferred, tried in vain, or failed for good.",
    ["kind", "outcome"],
    registry=REGISTRY,
)
DEADLINE_SECONDS: Final = Histogram(
    "deskline_deadline_seconds",
    "From the moment at which a deadline was due to its firing.",
    ["kind"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
DEADLINES_FAILED: Final = Gauge(
    "deskline_deadlines_failed",
    "Deadlines that failed by themselves, until somebody retries them.",
    ["kind"],
    registry=REGISTRY,
)
DEADLINES_OVERDUE: Final = Gauge(
    "deskline_deadlines_overdue_seconds",
    "Since the oldest deadline was due that has not been fired.",
    ["kind"],
    registry=REGISTRY,
)
WATERMARK_AGE: Final = Gauge(
    "deskline_watermark_age_seconds",
    "How long ago the moment lies until which an owner's events are known to be announced.",
    ["owner"],
    registry=REGISTRY,
)
WATERMARK_STALLED: Final = Gauge(
    "deskline_watermark_stalled",
    "1 when an owner's watermark has not moved for 15 s.",
    ["owner"],
    registry=REGISTRY,
)
TOPICS_MISSING: Final = Gauge(
    "deskline_topics_missing",
    "1 while a topic is missing that this deployment's operator has to create.",
    ["topic"],
    registry=REGISTRY,
)
LOOP_RED: Final = Gauge(
    "deskline_loop_red",
    "1 when a loop lacks a dependency or made no progress for 15 s.",
    ["loop"],
    registry=REGISTRY,
)
LOOP_AGE: Final = Gauge(
    "deskline_loop_progress_age_seconds",
    "Since the loop last made progress: got something done, or had nothing to do and all that it needs.",
    ["loop"],
    registry=REGISTRY,
)


def render() -> tuple[bytes, str]:
    """All figures in the Prometheus text format, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
