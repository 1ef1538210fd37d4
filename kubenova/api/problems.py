"""The pages that the `type` of a problem leads to: every code with what it means."""

from collections.abc import Iterator

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from kubenova.api.errors import CSRF
from reconcile.api.problems import GENERIC, TYPE_PATH
from reconcile.api.views import OpenView
from reconcile.refusals import Refusal
from reconcile.values import JSON


@extend_schema(exclude=True)
class ProblemsView(OpenView):
    """Every code."""

    def get(self, request: Request) -> Response:
        """List every code with what it means."""
        return Response({"items": sorted(codes().values(), key=lambda each: str(each["code"]))})


@extend_schema(exclude=True)
class ProblemView(OpenView):
    """One code; its path is in lower case, as in `type`."""

    def get(self, request: Request, code: str) -> Response:
        """Explain the code."""
        found = codes().get(code.upper())
        if found is None:
            raise NotFound
        return Response(found)


def codes() -> dict[str, JSON]:
    """Return every problem by its code: {type, code, status, title, detail}."""
    found = [
        _page(problem.code, problem.status, problem.title, problem.detail)
        for problem in (*GENERIC.values(), CSRF)
    ]
    found += [
        _page(kind.code, kind.status, kind.title, (kind.__doc__ or "").strip())
        for kind in _refusals(Refusal)
    ]
    return {page["code"]: page for page in reversed(found)}


def _page(code: str, status: int, title: str, detail: str) -> JSON:
    return {
        "type": f"{TYPE_PATH}{code.lower()}",
        "code": code,
        "status": status,
        "title": title,
        "detail": detail,
    }


def _refusals(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for below in kind.__subclasses__():
        yield below
        yield from _refusals(below)
