"""Figures of service levels: what fired, how late, and what can't be decided yet."""

from typing import Final

from prometheus_client import Counter, Histogram

from deskline_chassis.metrics import REGISTRY

# Labels are words of ours, never an id.
CLOCKS_MOVED: Final = Counter(
    "deskline_sla_clock_events_total",
    "What was announced of clocks, by kind.",
    ["kind"],
    registry=REGISTRY,
)
STEP_SECONDS: Final = Histogram(
    "deskline_sla_step_seconds",
    "From a step's moment to its firing.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0),
    registry=REGISTRY,
)
STEPS_HELD: Final = Counter(
    "deskline_sla_steps_held_total",
    "Askings of due steps that could not be decided: the ticket's stream is parked or waits for something, or"
    " its owner's watermark is not past their moment (as is usual within the first second).",
    ["reason"],
    registry=REGISTRY,
)
STEPS_ALARMED: Final = Counter(
    "deskline_sla_steps_alarmed_total",
    "Steps that can't be decided and need somebody's look, each counted once in a process.",
    ["reason"],
    registry=REGISTRY,
)
