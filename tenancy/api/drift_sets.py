"""Drift over HTTP, many at once: a list of differences, or all open ones that a filter finds."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.filters import Rows
from reconcile.api.idempotency import once
from reconcile.models import Drift
from reconcile.refusals import Fault, Invalid
from tenancy.api.drift import KEY, DriftView
from tenancy.api.drift_bodies import (
    MAX_SET,
    AcceptSetSerializer,
    IgnoreSetSerializer,
    ResolvedSerializer,
    SetSerializer,
)
from tenancy.api.drift_filters import DriftFilter
from tenancy.drift import Act, drift_for, resolve

_CHOICES = [
    OpenApiExample(
        "All that a filter finds",
        value={"filter": {"tenant": "acme", "cluster": "prod-a", "class": "human"}},
        request_only=True,
    ),
    OpenApiExample(
        "Two of them", value={"uids": ["5f0c6d0e-8f0f-4a55-9d3c-0d3f6d1c2b7a"]}, request_only=True
    ),
]


class _SetVerb(DriftView):
    """`POST /drift:verb` for a list, or for all open ones that a filter finds."""

    act: ClassVar[Act]
    body_class: ClassVar[type[SetSerializer]]

    def run(self, request: Request) -> Response:
        """Do it once, for all of the set or for none."""
        body = self.body_class(data=self.body())
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        uids, wanted = values.pop("uids", None), values.pop("filter", None)

        def answered() -> Response:
            rows = self._filtered(wanted) if uids is None else self._listed(uids)
            self.about(rows)
            count = resolve(self.user, self.act, rows, **values)
            return Response({"count": count}, status=202)

        return once(request, answered)

    def _filtered(self, wanted: dict[str, object]) -> list[Drift]:
        rows: Rows = DriftFilter(wanted, queryset=drift_for(self.user).filter(resolution="")).qs
        found = list(rows[: MAX_SET + 1])
        if len(found) > MAX_SET:
            text = f"It finds {rows.count()}; at most {MAX_SET} go at once. Narrow it down."
            raise _wrong([Fault("too_many", text, "/filter")])
        return found

    def _listed(self, uids: list[object]) -> list[Drift]:
        rows = {row.uid: row for row in self.get_queryset().filter(uid__in=uids)}
        text = "There is no such difference, or you may not see it. GET /api/v1/drift lists them."
        faults = [
            Fault("unknown", text, f"/uids/{index}")
            for index, uid in enumerate(uids)
            if uid not in rows
        ]
        if faults:
            raise _wrong(faults)
        return list(rows.values())


_SET = {202: ResolvedSerializer}


class DriftSetRepair(_SetVerb):
    """Repairs many."""

    act = Act.REPAIR
    body_class = SetSerializer

    @extend_schema(
        operation_id="drift_repair_set",
        request=SetSerializer,
        responses=_SET,
        parameters=[KEY],
        examples=_CHOICES,
    )
    def post(self, request: Request) -> Response:
        """Set back a list of differences, or all open ones that a filter finds."""
        return self.run(request)


class DriftSetAccept(_SetVerb):
    """Accepts many."""

    act = Act.ACCEPT
    body_class = AcceptSetSerializer

    @extend_schema(
        operation_id="drift_accept_set",
        request=AcceptSetSerializer,
        responses=_SET,
        parameters=[KEY],
        examples=_CHOICES,
    )
    def post(self, request: Request) -> Response:
        """Keep what was found for a list of differences, or for all that a filter finds."""
        return self.run(request)


class DriftSetIgnore(_SetVerb):
    """Ignores many."""

    act = Act.IGNORE
    body_class = IgnoreSetSerializer

    @extend_schema(
        operation_id="drift_ignore_set",
        request=IgnoreSetSerializer,
        responses=_SET,
        parameters=[KEY],
        examples=[
            OpenApiExample(
                "Until a date",
                value={
                    "filter": {"tenant": "acme", "kind": "Deployment", "actor": "kubectl-edit"},
                    "reason": "A load test is under way.",
                    "expires_at": "2026-12-01T00:00:00Z",
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Leave a list of differences, or all that a filter finds, to others."""
        return self.run(request)


def _wrong(faults: list[Fault]) -> Invalid:
    return Invalid("Parts of the request are wrong.", errors=faults)
