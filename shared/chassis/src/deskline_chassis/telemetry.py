"""Telemetry: traces that follow an event through the services and carry ids, types and counts only."""

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

Value = str | int | float | bool

# W3C Trace Context, "traceparent Header"; later versions may append fields.
_TRACEPARENT: Final = re.compile(
    r"^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)
# An attribute's last word says that it is an id, a type or a count; a subject, a text or an address isn't.
_NAME: Final = re.compile(
    r"^(?:[a-z0-9]+[_.])*(?:id|type|count|size|sequence|position|offset|partition|epoch|version|generation|attempt"
    r"|seconds|topic|reader|owner|loop|service|stream|route|method|status|outcome|code|kind|channel)$"
)
_TEXT: Final = re.compile(r"^[A-Za-z0-9._:/{}+-]{0,200}$")
REFUSED: Final = "refused"
"""What stands in a span for a text that is no id and no type."""

_FLUSH_MILLIS: Final = 200


class AttributeRefusedError(ValueError):
    """An attribute's name does not say that it is an id, a type or a count."""

    safe_message = True


class _LinkedOrRatio(Sampler):
    """A new trace is kept at the ratio, and always when it links to one that is kept."""

    def __init__(self, ratio: float) -> None:
        self._ratio = TraceIdRatioBased(ratio)

    def should_sample(  # noqa: PLR0917 -- the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if any(link.context.trace_flags.sampled for link in links or ()):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return self._ratio.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"LinkedOr{{{self._ratio.get_description()}}}"


class _TraceFile(SpanExporter):
    """One JSON line a span; each line is one write to a file opened for appending, so processes share it."""

    def __init__(self, path: Path, service: str) -> None:
        self._service = service
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            for span in spans:
                line = json.dumps(_as_json(span, self._service), separators=(",", ":")) + "\n"
                os.write(self._file, line.encode())
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        os.close(self._file)


class _Scrubbed(SpanExporter):
    """Lets nothing out but guarded attributes: no span events (they quote exceptions), no status text."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([_scrub(span) for span in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class _Tracing:
    """This process's provider and tracer; none until `configure_tracing`."""

    def __init__(self) -> None:
        self.provider: TracerProvider | None = None
        self.tracer: trace.Tracer = trace.NoOpTracer()


_tracing: Final = _Tracing()


def configure_tracing(
    service: str, sample: float, trace_file: Path | None = None, otlp_endpoint: str | None = None
) -> None:
    """Start tracing; `sample` (0 to 1) is for traces that begin here, a parent's choice is kept.

    Raises OSError when the file can't be opened.
    """
    shutdown_tracing()
    provider = TracerProvider(
        sampler=ParentBased(_LinkedOrRatio(sample)),
        resource=Resource.create({"service.name": service}),
        shutdown_on_exit=False,
    )
    if trace_file is not None:
        _export_through(provider, _TraceFile(trace_file, service))
    if otlp_endpoint is not None:
        # Imported only here: it costs 100 ms and pulls in requests.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        endpoint = otlp_endpoint.rstrip("/")
        if not endpoint.endswith("/v1/traces"):
            endpoint += "/v1/traces"
        _export_through(provider, OTLPSpanExporter(endpoint=endpoint, timeout=2))
    _tracing.provider = provider
    _tracing.tracer = provider.get_tracer("deskline")


def shutdown_tracing(seconds: float = 1.0) -> None:
    """Write what is left and stop tracing; a collector that does not answer is left after `seconds`."""
    provider = _tracing.provider
    _tracing.provider = None
    _tracing.tracer = trace.NoOpTracer()
    if provider is not None:
        ending = threading.Thread(target=provider.shutdown, name="end-of-tracing", daemon=True)
        ending.start()
        ending.join(seconds)


def start_root(name: str, **attributes: Value) -> Span:
    """A span that begins a trace, at a door: an outsider's traceparent is not trusted. The caller ends it."""
    return _tracing.tracer.start_span(name, Context(), attributes=_guarded(attributes))


def start_child(name: str, traceparent: str | None, **attributes: Value) -> Span | None:
    """A span under a parent from elsewhere, None when that isn't sampled; the caller ends it."""
    if not _is_sampled(traceparent) or _tracing.provider is None:
        return None
    return _tracing.tracer.start_span(name, context_from(traceparent), attributes=_guarded(attributes))


def start_under(name: str, traceparent: str | None, **attributes: Value) -> Span:
    """A span for a call by one of ours, kept or not as the caller chose; the caller ends it.

    Begins a trace where no parent can be read.
    """
    return _tracing.tracer.start_span(name, context_from(traceparent), attributes=_guarded(attributes))


def start_linked(name: str, traceparents: Iterable[str | None], **attributes: Value) -> Span | None:
    """A span for a batch, linked to the sampled ones among its records; None when there are none."""
    if _tracing.provider is None:
        return None
    contexts = [_span_context(parent) for parent in traceparents if _is_sampled(parent)]
    links = [Link(context) for context in contexts if context is not None]
    if not links:
        return None
    return _tracing.tracer.start_span(name, Context(), attributes=_guarded(attributes), links=links)


@contextmanager
def in_span(span: Span | None) -> Iterator[None]:
    """Make the span current, and end it; an exception marks it by its type alone. None does nothing."""
    if span is None:
        yield
        return
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR))
            set_attributes(span, error_type=type(error).__name__)
            raise


def set_attributes(span: Span, **attributes: Value) -> None:
    """Add ids, types and counts to a span; raises AttributeRefusedError by name."""
    span.set_attributes(_guarded(attributes))


def context_from(traceparent: str | None) -> Context:
    """The context of a parent from elsewhere; empty when there is none or it can't be read."""
    context = _span_context(traceparent)
    return Context() if context is None else trace.set_span_in_context(NonRecordingSpan(context), Context())


def traceparent_of(span: Span | None) -> str | None:
    """How a span is named to the next hop; None when it isn't sampled."""
    if span is None:
        return None
    context = span.get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def traceparent_of_current() -> str | None:
    """How the current span is named to the next hop; None when it isn't sampled."""
    return traceparent_of(trace.get_current_span())


def traceparent_to_callee() -> str | None:
    """How the current span is named to a service that is called, sampled or not; None outside any.

    The callee's log lines then carry the id that the caller of the door was told.
    """
    context = trace.get_current_span().get_span_context()
    return (
        f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        if context.is_valid
        else None
    )


def current_trace_id() -> str | None:
    """The current trace's id, sampled or not; None outside any."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def _is_sampled(traceparent: str | None) -> bool:
    found = None if traceparent is None else _TRACEPARENT.match(traceparent)
    return found is not None and int(found.group(3), 16) & TraceFlags.SAMPLED == TraceFlags.SAMPLED


def _span_context(traceparent: str | None) -> SpanContext | None:
    found = None if traceparent is None else _TRACEPARENT.match(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & TraceFlags.SAMPLED))


def _guarded(attributes: Mapping[str, Value]) -> dict[str, Value]:
    for name in attributes:
        if _NAME.match(name) is None:
            raise AttributeRefusedError(f"span attribute {name}: ids, types and counts only")
    return {name: _guarded_value(value) for name, value in attributes.items()}


def _guarded_value(value: Any) -> Value:
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if _TEXT.match(text) else REFUSED


def _allowed(attributes: Mapping[str, Any] | None) -> dict[str, Value]:
    return {name: _guarded_value(value) for name, value in (attributes or {}).items() if _NAME.match(name)}


def _scrub(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_allowed(span.attributes),
        links=[Link(link.context) for link in span.links],
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _as_json(span: ReadableSpan, service: str) -> dict[str, Any]:
    context = span.get_span_context()
    return {
        "trace_id": f"{context.trace_id:032x}" if context else None,
        "span_id": f"{context.span_id:016x}" if context else None,
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": span.name,
        "service": service,
        # Nanoseconds since 1970, UTC.
        "start": span.start_time,
        "end": span.end_time,
        "attributes": dict(span.attributes or {}),
        "links": [
            {"trace_id": f"{link.context.trace_id:032x}", "span_id": f"{link.context.span_id:016x}"}
            for link in span.links
        ],
    }


def _export_through(provider: TracerProvider, exporter: SpanExporter) -> None:
    provider.add_span_processor(
        BatchSpanProcessor(
            _Scrubbed(exporter), schedule_delay_millis=_FLUSH_MILLIS, max_export_batch_size=512
        )
    )
