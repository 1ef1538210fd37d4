"""Logs of an app over HTTP, as plain text."""

from collections.abc import Collection
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from delivery.api.views import AppView
from delivery.logs import MOST_LINES, SOME_LINES, Wanted, lines_of
from reconcile.api.filters import bad_query
from reconcile.refusals import Fault

_DAY = 86_400
_BOUNDS = {"tail": (1, MOST_LINES), "since": (1, 7 * _DAY)}
_FLAGS = ("previous", "follow")
_TEXTS = {
    "component": "Which component; the only one need not be named.",
    "cluster": "On which cluster; the only one need not be named.",
    "pod": "One pod of it. By default all of them, and each line starts with the name of its pod.",
}
_PARAMETERS = [
    *(OpenApiParameter(name, str, description=text) for name, text in _TEXTS.items()),
    OpenApiParameter(
        "tail",
        {"type": "integer", "minimum": 1, "maximum": MOST_LINES, "default": SOME_LINES},
        description="How many lines, counted from the end. All pods share them.",
    ),
    OpenApiParameter(
        "since",
        {"type": "integer", "minimum": 1, "maximum": 7 * _DAY},
        description="Only what was written in the last so many seconds.",
    ),
    OpenApiParameter("previous", bool, description="What was written before the last restart."),
    OpenApiParameter(
        "follow",
        bool,
        description="Go on with what is written from now on, for a minute, in one pod: the newest "
        "if none is named.",
    ),
]


class AppLogs(AppView):
    """What the pods of an app wrote."""

    def known_parameters(self) -> Collection[str]:
        """What narrows the log, and the parents."""
        return {*self.scope, *_TEXTS, *_BOUNDS, *_FLAGS}

    @extend_schema(parameters=_PARAMETERS, responses={(200, "text/plain"): OpenApiTypes.STR})
    def logs(self, request: Request, **kwargs: Any) -> StreamingHttpResponse:
        """Return the log of a component on a cluster, as text without control characters.

        The cluster is asked: the answer takes up to ten seconds, one that cannot be reached
        answers 503. A line that starts with `---` is KubeNova's: why there is no more.
        """
        row = self.find()
        lines = lines_of(row, _wanted(request))
        answer = StreamingHttpResponse(lines, content_type="text/plain; charset=utf-8")
        answer["X-Content-Type-Options"] = "nosniff"
        answer["X-Accel-Buffering"] = "no"  # a reverse proxy would hold back what is followed
        return answer


def _wanted(request: Request) -> Wanted:
    """Read the query. Raises Invalid."""
    given, faults = request.query_params, []
    values: dict[str, Any] = {name: given[name] for name in _TEXTS if name in given}
    for name, (least, most) in _BOUNDS.items():
        text = given.get(name)
        if text is None:
            continue
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1
        if not least <= number <= most:
            detail = f"It must be a whole number from {least} to {most}."
            faults.append(Fault(name, detail, parameter=name))
        values[name] = number
    for name in _FLAGS:
        if name in given and given[name] not in ("true", "false"):
            faults.append(Fault(name, "Use `true` or `false`.", parameter=name))
        values[name] = given.get(name) == "true"
    if values["follow"] and values["previous"]:
        text = "What was written before a restart is complete: it cannot be followed."
        faults.append(Fault("previous", text, parameter="previous"))
    if faults:
        raise bad_query(faults)
    return Wanted(**values)
