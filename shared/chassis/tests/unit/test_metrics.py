"""Metrics: the names that dashboards and alarms rest on."""

import re

import pytest

from deskline_chassis import metrics

pytestmark = pytest.mark.unit


def announced() -> float:
    found = re.search(r"^deskline_relay_seconds_count (\S+)$", metrics.render()[0].decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_figures_have_the_names_that_dashboards_know() -> None:
    before = announced()
    metrics.RELAY_EVENTS.labels("deskline.planets.events").inc()
    metrics.READER_RECORDS.labels("deskline.moons", "applied").inc(3)
    metrics.READER_LAG.labels("deskline.moons", "deskline.planets.events", "0").set(5)
    metrics.RELAY_SECONDS.observe(0.004)
    metrics.READER_BATCH_SECONDS.labels("deskline.moons").observe(0.01)
    metrics.LOOP_RED.labels("orbit").set(0)
    body, content_type = metrics.render()
    text = body.decode()
    assert content_type.startswith("text/plain")
    for line in (
        'deskline_relay_events_total{topic="deskline.planets.events"} 1.0',
        'deskline_reader_records_total{outcome="applied",reader="deskline.moons"} 3.0',
        'deskline_reader_lag{partition="0",reader="deskline.moons",topic="deskline.planets.events"} 5.0',
        'deskline_reader_batch_seconds_count{reader="deskline.moons"} 1.0',
    ):
        assert line in text
    for name in (
        "deskline_relay_epoch",
        "deskline_relay_leader",
        "deskline_outbox_depth",
        "deskline_reader_parked",
        "deskline_reader_waiting",
        "deskline_reader_rebuild_needed",
        "deskline_loop_red",
        "process_resident_memory_bytes",
    ):
        assert f"# HELP {name} " in text
    # Other tests of this process may have announced something as well.
    assert announced() == before + 1
