"""What a locked-out client is told."""

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from reconcile.api.problems import MEDIA_TYPE, generic


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: Any = None
) -> HttpResponse:
    """Answer 429: a problem for the API, a page for people. The same for every account."""
    headers = {"Retry-After": str(int(settings.AXES_COOLOFF_TIME.total_seconds()))}
    problem = generic(429)
    if request.path.startswith("/api/"):
        body = json.dumps(problem.as_json())
        return HttpResponse(body, status=429, content_type=MEDIA_TYPE, headers=headers)
    page = render(request, "429.html", status=429)
    page["Retry-After"] = headers["Retry-After"]
    return page
