"""Traces arrive where OTEL_EXPORTER_OTLP_ENDPOINT says, whole and without secrets."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import SpanKind

from kubenova.tracing import MaskingExporter, OwnRoots
from tests.kubenova.roles import ROOT, environment

TRACE = "0af7651916cd43dd8448eb211c80319c"
REQUEST = f"""
import django; django.setup()
from django.test import Client
headers = {{"traceparent": "00-{TRACE}-b7ad6b7169203331-01", "X-Correlation-ID": "mine"}}
client = Client(SERVER_NAME="localhost", raise_request_exception=False)
client.get("/api/v1/nothing-here?token=hunter2", headers=headers)
client.get("/readyz")
"""
TASK = """
import os, sys
import django; django.setup()
from opentelemetry import trace
from django_q.signals import post_execute_in_worker
if os.fork() == 0:
    with trace.get_tracer("test").start_as_current_span("reconcile tenancy.tenant"):
        pass
    post_execute_in_worker.send(sender="django_q", func=None, task={})
    os._exit(0)
os.wait()
os._exit(0)
"""


@pytest.fixture
def sink():
    """A collector on this machine: its URL, and the spans that it was sent with their resource."""
    spans = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = attributes(sent.resource)
                for scope in sent.scope_spans:
                    spans.extend((span, resource) for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


def attributes(of):
    return {each.key: each.value.string_value for each in of.attributes}


def run(code, url, tmp_path):
    subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url, KUBENOVA_ROLE="web"),
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )


def test_the_span_of_a_request_arrives(sink, tmp_path):
    url, spans = sink
    run(REQUEST, url, tmp_path)
    (span, resource) = next(each for each in spans if each[0].kind == SpanKind.SERVER.value + 1)
    assert span.trace_id.hex() == TRACE
    assert attributes(span)["kubenova.correlation_id"] == "mine"
    assert resource["service.name"] == "kubenova"
    assert resource["kubenova.role"] == "web"
    assert "hunter2" not in str(spans)
    assert not any("readyz" in str(each) for each in spans)


def test_every_span_belongs_to_a_request_or_a_step(sink, tmp_path):
    url, spans = sink
    run(REQUEST, url, tmp_path)
    assert {span.trace_id.hex() for span, _ in spans} == {TRACE}


def test_a_worker_that_ends_without_ceremony_loses_nothing(sink, tmp_path):
    url, spans = sink
    run(TASK, url, tmp_path)
    assert [span.name for span, _ in spans] == ["reconcile tenancy.tenant"]


def test_nothing_starts_without_an_endpoint(tmp_path):
    code = (
        "import django; django.setup(); import sys;"
        "assert 'kubenova.tracing' not in sys.modules;"
        "assert 'opentelemetry.exporter.otlp.proto.http' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), cwd=ROOT, check=True, timeout=60
    )


@pytest.fixture
def traced():
    """A tracer like ours and the spans that it has sent."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(OwnRoots()))
    provider.add_span_processor(SimpleSpanProcessor(MaskingExporter(memory)))
    return provider.get_tracer("test"), memory.get_finished_spans


def test_a_query_of_a_parked_drain_begins_no_trace(traced):
    tracer, spans = traced
    with tracer.start_as_current_span("PRAGMA", kind=SpanKind.CLIENT):
        pass
    with (
        tracer.start_as_current_span("reconcile"),
        tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT),
    ):
        pass
    assert [span.name for span in spans()] == ["SELECT", "reconcile"]


def test_secrets_are_masked_everywhere_in_a_span(traced):
    tracer, spans = traced
    with (
        pytest.raises(ValueError, match="hunter2"),
        tracer.start_as_current_span("GET /?token=hunter2") as span,
    ):
        span.set_attributes({"kubeconfig": "hunter2", "url.query": "token=hunter2", "count": 3})
        span.add_event("refused", {"password": "hunter2"})
        raise ValueError("password=hunter2")
    (sent,) = spans()
    assert "hunter2" not in sent.to_json()
    assert sent.attributes["count"] == 3
    assert [event.name for event in sent.events] == ["refused", "exception"]
    assert sent.context == span.get_span_context()
