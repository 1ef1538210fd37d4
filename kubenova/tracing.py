"""Traces: one from the request through the queue to each call of a cluster, by OTLP over HTTP.

Started where OTEL_EXPORTER_OTLP_ENDPOINT is set. The other variables of OpenTelemetry work
as they do everywhere. What leaves is masked like the logs are.
"""

import os
from collections.abc import Mapping, Sequence

from django.conf import settings
from django_q.signals import post_execute_in_worker
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from kubenova.masking import MASK, is_secret_name, mask_text

FLUSH_MILLISECONDS = 2000


def start(role: str) -> TracerProvider | None:
    """Start tracing in this process and in what it forks; None when that was done before."""
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return None
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "kubenova"),
            "service.version": settings.VERSION,
            "kubenova.role": role or "command",
        }
    )
    provider = TracerProvider(resource=resource, sampler=ParentBased(OwnRoots()))
    provider.add_span_processor(BatchSpanProcessor(MaskingExporter(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    _instrument()
    # A worker process of the queue ends without the hooks of a normal exit.
    post_execute_in_worker.connect(_flush, dispatch_uid="kubenova.tracing")
    return provider


def _instrument() -> None:
    DjangoInstrumentor().instrument(excluded_urls="healthz,readyz,metrics,static/")
    URLLib3Instrumentor().instrument(url_filter=lambda url: url.partition("?")[0])
    PsycopgInstrumentor().instrument(skip_dep_check=True)
    SQLite3Instrumentor().instrument()


def _flush(**kwargs: object) -> None:
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(FLUSH_MILLISECONDS)


class OwnRoots(Sampler):
    """Begins traces with requests and steps: a parked drain polls its database all day."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Drop outgoing calls that nothing of ours has asked for."""
        if kind == SpanKind.CLIENT:
            return SamplingResult(Decision.DROP)
        return ALWAYS_ON.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Name the sampler."""
        return "OwnRoots"


class MaskingExporter(SpanExporter):
    """Masks what looks like a secret in names, attributes and events before they leave."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send masked copies."""
        return self._exporter.export([masked_span(span) for span in spans])

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits."""
        return self._exporter.force_flush(timeout_millis)


def masked_span(span: ReadableSpan) -> ReadableSpan:
    """Return a copy of a finished span without secrets."""
    return ReadableSpan(
        name=mask_text(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_masked(span.attributes),
        events=[
            Event(event.name, _masked(event.attributes), event.timestamp) for event in span.events
        ],
        links=span.links,
        kind=span.kind,
        status=trace.Status(span.status.status_code, _masked_or_none(span.status.description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _masked_or_none(text: str | None) -> str | None:
    return mask_text(text) if text else text


def _masked(attributes: Attributes) -> Attributes:
    if not isinstance(attributes, Mapping):
        return attributes
    return {
        name: MASK
        if isinstance(value, str) and is_secret_name(name)
        else (mask_text(value) if isinstance(value, str) else value)
        for name, value in attributes.items()
    }
