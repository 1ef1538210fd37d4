"""Logs: one JSON object per line on stdout in every role, a readable form for a terminal.

Messages are constant, what varies is a key. Lines of Django, gunicorn and django-q go the same way.
"""

from logging import LogRecord, captureWarnings
from typing import Any

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from kubenova.masking import escape, mask
from reconcile.correlation import correlation_id

PROBES = ("GET /healthz", "GET /readyz", "GET /metrics")


def add_correlation(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the correlation id of what is going on, unless the line brings its own."""
    if current := correlation_id():
        event.setdefault("correlation_id", current)
    return event


def add_span(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add `trace_id` and `span_id` (hex, W3C trace context) while a span is recording."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def drop_probes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop the lines of probes and scrapes that went well: they come every few seconds."""
    is_probe = str(event.get("request", "")).startswith(PROBES)
    if is_probe and event.get("code") == 200:
        raise structlog.DropEvent
    return event


def name_role(role: str) -> Processor:
    """Make a processor that adds the role that this process plays."""

    def add_role(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("role", role)
        return event

    return add_role


def quote_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Set tracebacks off by a margin: text inside an exception cannot pose as a line of its own."""
    if text := event.get("exception"):
        event["exception"] = "\n".join(f"  | {line}" for line in str(text).splitlines())
    return event


def brief(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out what a person at a terminal has no use for."""
    for name in ("logger", "role", "request_id"):
        event.pop(name, None)
    event["timestamp"] = str(event.get("timestamp", ""))[11:19]
    return {name: value for name, value in event.items() if value != ""}


# What every line gets, wherever it was written.
SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.ExtraAdder(),
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    add_correlation,
    add_span,
]


def _renderers(format: str) -> list[Processor]:
    before: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        mask,
        escape,
    ]
    if format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=24, pad_level=False)
        return [*before, brief, quote_traceback, renderer]
    return [*before, structlog.processors.JSONRenderer()]


# Django has handlers of its own on the first two: everything goes up to the root. The one line of
# each request, and its traceback, is django-structlog's.
LOGGERS: dict[str, dict[str, Any]] = {
    "django": {"handlers": [], "propagate": True},
    "django.server": {"handlers": [], "propagate": True},
    "django.request": {"level": "CRITICAL"},
    "django.security.DisallowedHost": {"level": "CRITICAL"},
    "axes": {"level": "WARNING"},
    # A wave of many objects opens more connections than are kept: each one closed is no news.
    "urllib3.connectionpool": {"level": "ERROR"},
}


def logging_config(format: str, level: str, role: str) -> dict[str, Any]:
    """Return Django's LOGGING and set up structlog.

    `format` is `json` or `console`, `level` a name of the logging module, `role` what this process
    does (`web`, `worker`, …; empty for commands).
    """
    shared = [*SHARED, name_role(role)] if role else SHARED
    captureWarnings(bool(role))  # a role writes nothing but log lines
    _configure_structlog(shared)
    formatter = {
        "()": "structlog.stdlib.ProcessorFormatter",
        "foreign_pre_chain": shared,
        "processors": _renderers(format),
    }
    handler = {
        "class": "logging.StreamHandler",
        "stream": "ext://sys.stdout",
        "formatter": "line",
        "filters": ["quiet"],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "filters": {"quiet": {"()": "kubenova.logging.QuietRoutine"}},
        "handlers": {"stdout": handler},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": LOGGERS,
    }


def _configure_structlog(shared: list[Processor]) -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            drop_probes,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class QuietRoutine:
    """Drops what django-q says about each task it passes on: drains come and go all the time."""

    ROUTINE = ("Enqueued ", "Processed ", "%(proc_name)s processing", "Process-")

    def filter(self, record: LogRecord) -> bool:
        """Keep everything but the routine of django-q below WARNING."""
        if record.name != "django-q" or record.levelno > 20:
            return True
        return not str(record.msg).startswith(self.ROUTINE)
