"""The front door: every request gets its ids before anything else happens to it."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from opentelemetry import trace

from reconcile.correlation import asked, correlate, new_correlation_id

CORRELATION_HEADER = "X-Correlation-ID"
REQUEST_HEADER = "X-Request-ID"

_READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class CorrelationMiddleware:
    """Names the request and what it sets going, and tells the client both names.

    `X-Correlation-ID` is the client's where it matches `[A-Za-z0-9._-]{1,64}`, else the trace id of
    its `traceparent` (W3C trace context), else of our own span, else made. `X-Request-ID` is always
    made here: two requests never share one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request under its correlation id."""
        request_id = uuid.uuid4().hex
        # django-structlog reads it from here and binds it to every log line of the request.
        request.META["HTTP_X_REQUEST_ID"] = request_id
        with correlate(_wanted_id(request)) as correlation_id:
            trace.get_current_span().set_attribute("kubenova.correlation_id", correlation_id)
            response = self._answer(request)
        response[CORRELATION_HEADER] = correlation_id
        response[REQUEST_HEADER] = request_id
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        """Answer it; what a request that may change something sets going tells of it."""
        if request.method in _READING:
            return self.get_response(request)
        with asked(request.method or "", request.path):
            return self.get_response(request)


def _wanted_id(request: HttpRequest) -> str:
    given: str = request.META.get("HTTP_X_CORRELATION_ID", "")
    if _ALLOWED.fullmatch(given):
        return given
    if parent := _TRACEPARENT.fullmatch(request.META.get("HTTP_TRACEPARENT", "")):
        return parent.group(1)
    span = trace.get_current_span().get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else new_correlation_id()
