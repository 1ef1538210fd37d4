"""Every line is one JSON object with the ids of what it belongs to, whoever wrote it."""

import io
import json
import logging
import logging.config

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from kubenova.logging import logging_config
from reconcile.correlation import correlate


@pytest.fixture
def lines(request):
    """Call it for what was logged so far: decoded in JSON, as text in console format."""
    format = getattr(request, "param", "json")
    kept = structlog.get_config()
    config = logging_config(format, "INFO", "worker")
    config["handlers"]["stdout"]["stream"] = output = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.config.dictConfig(config)

    def read():
        text = output.getvalue()
        return [json.loads(line) for line in text.splitlines()] if format == "json" else text

    yield read
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level
    structlog.configure(**kept)


def test_it_writes_our_lines_as_json(lines):
    structlog.get_logger("kubenova.test").info("step_done", kind="tenant", seconds=0.5)
    (line,) = lines()
    assert line["event"] == "step_done"
    assert (line["kind"], line["seconds"], line["level"]) == ("tenant", 0.5, "info")
    assert line["logger"] == "kubenova.test"
    assert line["role"] == "worker"
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "name", ["django", "django.server", "django-q", "gunicorn.error", "clusters.client", "asyncio"]
)
def test_it_writes_the_lines_of_others_as_json(lines, name):
    logging.getLogger(name).warning("it took %s s", 3, extra={"tenant": "acme"})
    (line,) = lines()
    assert line["event"] == "it took 3 s"
    assert line["tenant"] == "acme"


def test_it_carries_what_is_bound(lines):
    bound = {"request_id": "r1", "tenant": "acme", "cluster": "prod-a", "adapter": "capsule"}
    with structlog.contextvars.bound_contextvars(**bound), correlate("c1"):
        logging.getLogger("clusters").info("Applied")
    (line,) = lines()
    assert bound.items() <= line.items()
    assert line["correlation_id"] == "c1"


def test_it_carries_no_correlation_id_outside_of_any(lines):
    logging.getLogger("clusters").info("Idle")
    assert "correlation_id" not in lines()[0]


def test_it_carries_the_ids_of_the_span(lines):
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("step") as span:
        logging.getLogger("clusters").info("Applied")
    (line,) = lines()
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert line["span_id"] == f"{span.get_span_context().span_id:016x}"


def test_it_masks_secrets_wherever_they_stand(lines):
    logger = logging.getLogger("clusters")
    try:
        raise ValueError("refused with token=abc123")
    except ValueError:
        logger.exception("Signed in with password=%s", "hunter2", extra={"kubeconfig": "abc123"})
    (line,) = lines()
    text = json.dumps(line)
    assert "abc123" not in text and "hunter2" not in text
    assert "ValueError" in line["exception"]


@pytest.mark.parametrize("lines", ["json", "console"], indirect=True)
def test_nobody_forges_a_line(lines):
    forged = '\r\n{"event": "Signed in"}\x1b[2K\u202e'
    try:
        raise ValueError(forged)
    except ValueError:
        logging.getLogger("access").exception("No such user", extra={"username": forged})
    found = lines()
    text = json.dumps(found, ensure_ascii=False) if isinstance(found, list) else found
    assert "\x1b" not in text and "\u202e" not in text
    written = [found] if isinstance(found, list) else found.splitlines()
    assert not any(str(line).startswith('{"event": "Signed in"}') for line in written)
    assert isinstance(found, str) or len(found) == 1


@pytest.mark.parametrize("lines", ["console"], indirect=True)
def test_it_is_brief_at_a_terminal(lines):
    with structlog.contextvars.bound_contextvars(request_id="r1", tenant="acme"):
        logging.getLogger("clusters.client").info("Applied", extra={"adapter": ""})
    text = lines()
    assert "Applied" in text and "tenant=acme" in text
    assert not any(name in text for name in ("request_id", "role=", "adapter=", "clusters.client"))


def test_it_says_nothing_of_the_routine_of_the_queue(lines):
    logger = logging.getLogger("django-q")
    logger.info("Enqueued [kubenova] 1")
    logger.info("Process-1 processing alpha 'kubenova.drains.drain_in_slot'")
    logger.error("Failed 'vault.tasks.rotate_if_due'")
    assert [line["level"] for line in lines()] == ["error"]


def test_it_drops_probes_that_went_well(lines):
    logger = structlog.get_logger("django_structlog")
    logger.info("request_finished", request="GET /metrics", code=200)
    logger.info("request_finished", request="GET /metrics", code=500)
    assert [line["code"] for line in lines()] == [500]
