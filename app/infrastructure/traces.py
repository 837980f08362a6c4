"""Traces by OpenTelemetry, if they are asked for; otherwise nothing of it is imported.

There is a span for each request and one for each transaction, named by what was done. It has no
ids of accounts, no texts and no statement's values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.errors import ConfigurationError

_tracer: Any = None


def export(service: str) -> None:
    """Send spans to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, from now on.

    Raises ConfigurationError if the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            "Traces are asked for, and OpenTelemetry is not installed: pip install tallybook[otel]."
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider.get_tracer("tallybook"))


def use(tracer: Any) -> None:
    """Trace by this tracer from now on; None traces nothing."""
    global _tracer  # noqa: PLW0603 - one tracer for the process, as OpenTelemetry has it too
    _tracer = tracer


def are_made() -> bool:
    """Return whether anything is traced."""
    return _tracer is not None


def begin(name: str) -> Any:
    """Begin a span below the present one, for `end` to end; return None if nothing is traced."""
    return None if _tracer is None else _tracer.start_span(name)


def end(span: Any, error: BaseException | None = None) -> None:
    """End a span of `begin`; only the type of an error is recorded, since its text may name a
    person.
    """
    if span is None:
        return
    if error is not None:
        span.set_attribute("error.type", type(error).__name__)
    span.end()


@contextmanager
def request(headers: Mapping[str, str], told: dict[str, Any]) -> Iterator[None]:
    """Open the span of one request, below the caller's if `traceparent` names one.

    ``told`` is filled until the end: method, route and status, and the request's id.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry import context, propagate, trace

    parent = propagate.extract(headers)
    span = _tracer.start_span("request", context=parent, kind=trace.SpanKind.SERVER)
    token = context.attach(trace.set_span_in_context(span, parent))
    try:
        yield
    finally:
        context.detach(token)
        span.update_name(f"{told.get('http.request.method')} {told.get('http.route')}")
        span.set_attributes(told)
        span.end()
