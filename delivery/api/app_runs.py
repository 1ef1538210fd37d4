"""Runs that bring the revisions of an app to its clusters, over HTTP."""

from typing import Any

from django.db.models import QuerySet
from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.api.revisions import NewestFirst
from delivery.api.run_verbs import RunVerbs
from delivery.api.views import SCOPE, AppView
from delivery.api.workflow_bodies import WorkflowRunSerializer
from delivery.models import App, WorkflowRun
from reconcile.api import lookup
from reconcile.api.views import ApiView


def runs_of(app: App) -> "QuerySet[WorkflowRun]":
    """Return the runs of an app's own workflow."""
    return WorkflowRun.objects.filter(workflow__app=app).select_related("workflow")


class AppRunVerbs(RunVerbs, AppView):
    """What people do to a run of an app."""

    def runs_of(self, row: App) -> "QuerySet[WorkflowRun]":
        """Those of its own workflow."""
        return runs_of(row)


class _OfApp(ApiView):
    """What is read of an app's runs; the app is found among what the caller sees."""

    collection = "apps"
    serializer_class = WorkflowRunSerializer
    queryset = WorkflowRun.objects.none()
    filter_backends: tuple[Any, ...] = ()
    pagination_class = NewestFirst
    query_parameters = tuple(SCOPE)

    def runs(self) -> "QuerySet[WorkflowRun]":
        """Return the runs of the app that the path names. Raises NotFound, Ambiguous."""
        names = lookup.agreed_names(SCOPE, self.kwargs, self.request.query_params, {})
        rows = lookup.narrow(lookup.visible(App, self.user), SCOPE, names)
        return runs_of(lookup.only(rows, self.kwargs["name"], SCOPE))


class AppRunList(_OfApp):
    """All runs."""

    query_parameters = (*SCOPE, "limit", "cursor")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """List the runs that brought the app's revisions to its clusters, newest first."""
        page = self.paginate_queryset(self.runs())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class AppRunDetail(_OfApp):
    """One run."""

    @extend_schema(description="Return a run with its steps: poll it until `finished_at` is set.")
    def get(self, request: Request, number: int, **kwargs: Any) -> Response:
        """Return a run with its steps."""
        found = self.runs().filter(number=number).first()
        if found is None:
            raise NotFound
        return Response(self.get_serializer(found).data)


def below(app: str) -> list[URLPattern]:
    """Return the paths below that of an app."""
    one = f"{app}/runs/<int:number>"
    return [
        path(f"{app}/runs", AppRunList.as_view()),
        path(one, AppRunDetail.as_view()),
        *(
            path(f"{one}:{name}", AppRunVerbs.as_view({"post": name}))
            for name in ("suspend", "resume", "terminate", "retry")
        ),
    ]
