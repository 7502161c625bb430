"""Telemetry: who is sampled, what a span may carry, and a file that several processes share."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from deskline_chassis import telemetry
from deskline_chassis.telemetry import (
    AttributeRefusedError,
    configure_tracing,
    context_from,
    current_trace_id,
    in_span,
    set_attributes,
    shutdown_tracing,
    start_child,
    start_linked,
    start_root,
    traceparent_of,
    traceparent_of_current,
)

Lines = Callable[[], list[dict[str, Any]]]

pytestmark = pytest.mark.unit

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
CANARY = "ivan@example.org"


@pytest.fixture
def spans(tmp_path: Path) -> Iterator[Lines]:
    """Trace everything into a file; gives what it holds once tracing ended."""
    path = tmp_path / "spans.jsonl"
    configure_tracing("planets", 1.0, path)

    def read() -> list[dict[str, Any]]:
        shutdown_tracing()
        return [json.loads(line) for line in path.read_text().splitlines()]

    yield read
    shutdown_tracing()


def test_child_carries_its_parent_into_the_file(spans: Lines) -> None:
    span = start_child("apply", SAMPLED, event_type="deskline.planets.PlanetSeen.v1", sequence=3)
    assert span is not None
    assert (
        traceparent_of(span)
        == f"00-0af7651916cd43dd8448eb211c80319c-{span.get_span_context().span_id:016x}-01"
    )
    span.end()
    (line,) = spans()
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["parent_id"] == "b7ad6b7169203331"
    assert (line["name"], line["service"]) == ("apply", "planets")
    assert line["attributes"] == {"event_type": "deskline.planets.PlanetSeen.v1", "sequence": 3}
    assert line["start"] <= line["end"]
    assert line["links"] == []


@pytest.mark.parametrize(
    "parent", [None, "", UNSAMPLED, "rubbish", SAMPLED.replace("00-", "ff-"), "00-" + "0" * 32]
)
def test_unsampled_parent_costs_no_span(spans: Lines, parent: str | None) -> None:
    assert start_child("apply", parent) is None
    assert start_linked("batch", [parent]) is None
    assert spans() == []


def test_nothing_is_traced_before_tracing_is_configured() -> None:
    shutdown_tracing()
    assert start_child("apply", SAMPLED) is None
    assert traceparent_of(start_root("door")) is None


def test_door_that_samples_nothing_gives_no_traceparent(tmp_path: Path) -> None:
    configure_tracing("planets", 0.0, tmp_path / "spans.jsonl")
    span = start_root("door")
    with in_span(span):
        assert traceparent_of_current() is None
        assert current_trace_id() is not None
    shutdown_tracing()
    assert (tmp_path / "spans.jsonl").read_text() == ""


def test_batch_with_a_sampled_record_is_kept_and_linked_whatever_the_ratio(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    configure_tracing("planets", 0.0, path)
    span = start_linked("batch", [None, UNSAMPLED, SAMPLED], record_count=3)
    assert span is not None
    span.end()
    shutdown_tracing()
    (line,) = map(json.loads, path.read_text().splitlines())
    assert line["links"] == [{"trace_id": SAMPLED[3:35], "span_id": SAMPLED[36:52]}]
    assert line["parent_id"] is None


def test_current_span_names_itself_to_the_next_hop(spans: Lines) -> None:
    span = start_root("door")
    with in_span(span):
        assert traceparent_of_current() == traceparent_of(span)
        inner = start_child("inside", traceparent_of_current())
        assert inner is not None
        inner.end()
    inside, door = spans()
    assert inside["parent_id"] == door["span_id"]


@pytest.mark.parametrize("name", ["subject", "email", "text", "address", "path", "query", "user.name"])
def test_attribute_that_is_no_id_type_or_count_is_refused(spans: Lines, name: Any) -> None:
    with pytest.raises(AttributeRefusedError):
        start_root("door", **{name: "x"})
    span = start_root("door")
    with pytest.raises(AttributeRefusedError):
        set_attributes(span, **{name: "x"})


def test_personal_text_reaches_no_span(spans: Lines) -> None:
    span = start_root("door", stream_id=CANARY)
    span.set_attribute("note", CANARY)
    span.add_event(CANARY)
    with pytest.raises(ValueError, match="canary"), in_span(span):
        raise ValueError(f"canary {CANARY}")
    (line,) = spans()
    assert CANARY not in json.dumps(line)
    assert line["attributes"] == {"stream_id": telemetry.REFUSED, "error_type": "ValueError"}


def test_context_of_rubbish_is_empty() -> None:
    assert not trace.get_current_span(context_from("rubbish")).get_span_context().is_valid
    assert trace.get_current_span(context_from(SAMPLED)).get_span_context().is_remote


def test_processes_append_whole_lines_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    program = (
        "import sys; from pathlib import Path\n"
        "from deskline_chassis.telemetry import *\n"
        "configure_tracing(sys.argv[2], 1.0, Path(sys.argv[1]))\n"
        "[start_root('door', event_type='x' * 150).end() for _ in range(300)]\n"
        "shutdown_tracing(10)\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(path), f"planet-{n}"], env=dict(os.environ))
        for n in "ab"
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    services = [json.loads(line)["service"] for line in path.read_text().splitlines()]
    assert sorted(services) == ["planet-a"] * 300 + ["planet-b"] * 300


def test_collector_is_told_when_one_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.exporter.otlp.proto.http import trace_exporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    told = []

    class Collector:
        def __init__(self, endpoint: str, timeout: float) -> None:
            told.append(endpoint)

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            told.extend(span.name for span in spans)
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            told.append("shutdown")

    monkeypatch.setattr(trace_exporter, "OTLPSpanExporter", Collector)
    configure_tracing("planets", 1.0, None, "http://collector:4318/")
    start_root("door").end()
    shutdown_tracing()
    assert told == ["http://collector:4318/v1/traces", "door", "shutdown"]
