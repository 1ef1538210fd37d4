"""Everything that goes wrong under /api/ is answered by one problem document (RFC 9457).

Three doors lead here: exceptions in API views, errors of Django itself, failed CSRF checks.
"""

import json
import sys
from dataclasses import replace
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.exceptions import ValidationError as ModelError
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults
from django.views.csrf import csrf_failure as page_csrf_failure
from drf_spectacular.utils import extend_schema
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.problems import (
    MEDIA_TYPE,
    Problem,
    generic,
    model_faults,
    of_faults,
    of_refusal,
    serializer_faults,
)
from reconcile.api.views import OpenView
from reconcile.refusals import Refusal
from reconcile.values import JSON

DATABASE_ERRORS = (OperationalError, InterfaceError)
RETRY_AFTER = "5"


class RefusedRequest(exceptions.APIException):
    """A refusal on its way through REST framework's exception handling."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail, refusal.code)
        self.status_code = refusal.status
        self.refusal = refusal


class BadValue(exceptions.APIException):
    """A model refused a value outside of any serializer."""

    status_code = 400

    def __init__(self, error: ModelError) -> None:
        super().__init__()
        self.faults = model_faults(error)


class DatabaseDown(exceptions.APIException):
    """The database did not answer; nothing was changed."""

    status_code = 503


class ProblemHandler(ExceptionHandler):
    """Turns every exception of an API view into a problem; a traceback is for the log alone."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """Give what is not REST framework's own a status."""
        if isinstance(exc, Refusal):
            return RefusedRequest(exc)
        if isinstance(exc, ModelError):
            return BadValue(exc)
        if isinstance(exc, DATABASE_ERRORS):
            return DatabaseDown()
        if isinstance(exc, SuspiciousOperation):
            return exceptions.ParseError()
        found: Exception = super().convert_known_exceptions(exc)
        return found

    def get_response(self, exc: exceptions.APIException, data: JSON) -> Response:
        """Answer with the problem and the headers that belong to it."""
        headers = self.get_headers(exc)
        return Response(data, status=exc.status_code, headers=headers, content_type=MEDIA_TYPE)

    def get_headers(self, exc: exceptions.APIException) -> dict[str, str]:
        """Add a refusal's own headers and Retry-After."""
        headers: dict[str, str] = super().get_headers(exc)
        if isinstance(exc, RefusedRequest):
            headers |= exc.refusal.headers
        if isinstance(exc, DatabaseDown):
            headers["Retry-After"] = RETRY_AFTER
        return headers

    def report_exception(self, exc: exceptions.APIException, response: Response) -> None:
        """Log what is our fault. A 503 that we answered on purpose is none."""
        if not isinstance(exc, RefusedRequest):
            super().report_exception(exc, response)


class ProblemFormatter(ExceptionFormatter):
    """Writes the problem document of an exception."""

    def run(self) -> JSON:
        """Return the document."""
        return self._problem().as_json()

    def _problem(self) -> Problem:
        if isinstance(self.exc, RefusedRequest):
            return of_refusal(self.exc.refusal)
        if isinstance(self.exc, BadValue):
            return of_faults(self.exc.faults)
        if isinstance(self.exc, exceptions.ValidationError):
            return of_faults(serializer_faults(self.exc))
        if self.exc.get_codes() == CSRF_CODE:
            return CSRF
        found = generic(self.exc.status_code)
        # Who is refused sees the object: a reason of our own tells no secret.
        if found.status == 403 and self.exc.detail != exceptions.PermissionDenied.default_detail:
            return replace(found, detail=str(self.exc.detail))
        return found


CSRF_CODE = "csrf"
CSRF = Problem(
    403,
    "KN-CSRF",
    "The request may come from another site",
    "A session needs the CSRF token in the X-CSRFToken header. Scripts use a bearer token instead.",
)


@extend_schema(exclude=True)
class NothingHere(OpenView):
    """Answers 404 to every method on every path of the API that nobody else answers."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse. Raises NotFound."""
        raise exceptions.NotFound


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 400 for what Django refuses before any view."""
    return _api_problem(request, 400) or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 403."""
    return _api_problem(request, 403) or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Answer 404."""
    unknown = exception or exceptions.NotFound()
    return _api_problem(request, 404) or defaults.page_not_found(request, unknown)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer 500, or 503 while the database is away."""
    down = isinstance(sys.exc_info()[1], DATABASE_ERRORS)
    response = _api_problem(request, 503 if down else 500) or defaults.server_error(request)
    if down:
        response.headers["Retry-After"] = RETRY_AFTER
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Answer a failed CSRF check of a Django view."""
    if _is_api(request):
        return problem_response(CSRF)
    return page_csrf_failure(request, reason)


def problem_response(problem: Problem, **headers: Any) -> HttpResponse:
    """Return a problem outside of REST framework."""
    body = json.dumps(problem.as_json())
    return HttpResponse(body, status=problem.status, content_type=MEDIA_TYPE, headers=headers)


def _api_problem(request: HttpRequest, status: int) -> HttpResponse | None:
    return problem_response(generic(status)) if _is_api(request) else None


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
