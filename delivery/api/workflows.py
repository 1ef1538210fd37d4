"""Workflows over HTTP, their versions and their runs."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import URLPattern, path
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.api.revisions import NewestFirst
from delivery.api.run_verbs import RunVerbs as _RunVerbs
from delivery.api.run_verbs import shown
from delivery.api.views import SCOPE
from delivery.api.workflow_bodies import (
    RunRequestSerializer,
    WorkflowRunSerializer,
    WorkflowSerializer,
    WorkflowVersionSerializer,
)
from delivery.models import Workflow, WorkflowRun, WorkflowVersion
from delivery.rules.running import RunState
from reconcile.api import lookup
from reconcile.api.filters import StrictFilterBackend
from reconcile.api.objects import ObjectView
from reconcile.api.verbs import verb
from reconcile.api.views import ApiView
from reconcile.models.declared import Declared


class WorkflowView(ObjectView):
    """Workflows: whoever delivers into the project writes and runs them."""

    model: ClassVar[type[Declared]] = Workflow
    collection = "workflows"
    serializer_class = WorkflowSerializer
    scope = SCOPE
    create_action = "deliver"
    prefetch = ("project__tenant", "app")

    def find_parent(self) -> Any:
        """Return the project. A PUT that creates names its tenant as well. Raises Invalid."""
        if self.request.method == "PUT" and "tenant" not in self.names():
            raise lookup.missing("tenant")
        return super().find_parent()

    @verb("deliver", body=RunRequestSerializer, answer=WorkflowRunSerializer)
    def run(self, row: Workflow, data: Mapping[str, Any]) -> Response:
        """Run the workflow as it is declared now, one run at a time; poll the run that is answered.

        With an Idempotency-Key the same request again answers with the same run.
        """
        by = self.user.get_username()
        found = row.run(by, message=data.get("message", ""), parameters=data.get("parameters"))
        return shown(found, Location=f"{self.location(row)}/runs/{found.number}")


class RunVerbs(_RunVerbs, WorkflowView):
    """What people do to a run of a workflow."""

    def runs_of(self, row: Workflow) -> "QuerySet[WorkflowRun]":
        """All of them."""
        return row.runs.all()


class _OfWorkflow(ApiView):
    """What is read of a workflow, which is found among what the caller sees."""

    collection = "workflows"
    filter_backends: tuple[Any, ...] = ()
    pagination_class = NewestFirst
    query_parameters = tuple(SCOPE)

    def workflow(self) -> Workflow:
        """Return the workflow that the path names. Raises NotFound, Ambiguous."""
        names = lookup.agreed_names(SCOPE, self.kwargs, self.request.query_params, {})
        rows = lookup.narrow(lookup.visible(Workflow, self.user), SCOPE, names)
        found: Workflow = lookup.only(rows, self.kwargs["name"], SCOPE)
        return found

    def listed(self, rows: "QuerySet[Any]") -> Response:
        """Answer with a page."""
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def one(self, rows: "QuerySet[Any]", number: int) -> Response:
        """Answer with the one of that number. Raises NotFound."""
        found = rows.filter(number=number).first()
        if found is None:
            raise NotFound
        return Response(self.get_serializer(found).data)


class VersionList(_OfWorkflow):
    """All versions."""

    serializer_class = WorkflowVersionSerializer
    queryset = WorkflowVersion.objects.none()
    query_parameters = (*SCOPE, "limit", "cursor")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """List the versions of a workflow, newest first."""
        return self.listed(self.workflow().versions.all())


class VersionDetail(_OfWorkflow):
    """One version."""

    serializer_class = WorkflowVersionSerializer

    def get(self, request: Request, number: int, **kwargs: Any) -> Response:
        """Return a version with its steps."""
        return self.one(self.workflow().versions.all(), number)


class RunFilter(filters.FilterSet):  # type: ignore[misc]
    """By how they fare, and of which version they are."""

    state = filters.ChoiceFilter(choices=[(state.value, state.value) for state in RunState])
    version = filters.NumberFilter()


class RunList(_OfWorkflow):
    """All runs."""

    serializer_class = WorkflowRunSerializer
    queryset = WorkflowRun.objects.none()
    filter_backends = (StrictFilterBackend,)
    filterset_class = RunFilter
    query_parameters = (*SCOPE, "limit", "cursor")

    def known_parameters(self) -> set[str]:
        """The filters as well."""
        return {*self.query_parameters, *RunFilter.base_filters}

    def get(self, request: Request, **kwargs: Any) -> Response:
        """List the runs of a workflow, newest first."""
        return self.listed(self.workflow().runs.select_related("workflow"))


class RunDetail(_OfWorkflow):
    """One run."""

    serializer_class = WorkflowRunSerializer

    @extend_schema(description="Return a run with its steps: poll it until `finished_at` is set.")
    def get(self, request: Request, number: int, **kwargs: Any) -> Response:
        """Return a run with its steps."""
        return self.one(self.workflow().runs.select_related("workflow"), number)


def _below(parents: str) -> list[URLPattern]:
    flow = f"{parents}workflows/<slug:name>"
    verbs: dict[str, Any] = {
        "get": "retrieve",
        "put": "replace",
        "patch": "partial_update",
        "delete": "destroy",
    }
    return [
        path(f"{parents}workflows", WorkflowView.as_view({"get": "list", "post": "create"})),
        path(flow, WorkflowView.as_view(verbs)),
        path(f"{flow}:run", WorkflowView.as_view({"post": "run"})),
        path(f"{flow}/versions", VersionList.as_view()),
        path(f"{flow}/versions/<int:number>", VersionDetail.as_view()),
        path(f"{flow}/runs", RunList.as_view()),
        path(f"{flow}/runs/<int:number>", RunDetail.as_view()),
        *(
            path(f"{flow}/runs/<int:number>:{name}", RunVerbs.as_view({"post": name}))
            for name in ("suspend", "resume", "terminate", "retry")
        ),
    ]


urlpatterns = [*_below(""), *_below("tenants/<slug:tenant>/projects/<slug:project>/")]
