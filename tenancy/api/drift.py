"""Drift over HTTP: what differs, across all that the caller may see, and what is done about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.filters import Rows, StrictFilterBackend
from reconcile.api.idempotency import HEADER, once
from reconcile.api.pagination import ItemsPagination
from reconcile.api.serializers import StrictSerializer
from reconcile.api.verbs import NothingSerializer
from reconcile.api.views import ApiView
from reconcile.models import Drift
from tenancy.api.drift_bodies import (
    DriftSerializer,
    IgnoredSerializer,
    ReasonSerializer,
)
from tenancy.api.drift_filters import DriftFilter, DriftOrdering
from tenancy.drift import Act, drift_for, resolve

KEY = OpenApiParameter(
    HEADER, str, OpenApiParameter.HEADER, description="Run this once; repeats get the same answer."
)
_SCALED = OpenApiExample(
    "A person scaled a Deployment",
    value={
        "uid": "5f0c6d0e-8f0f-4a55-9d3c-0d3f6d1c2b7a",
        "tenant": "acme",
        "cluster": "prod-a",
        "of": {
            "kind": "app",
            "name": "acme/shop/web",
            "uid": "0b0f6b5e-1d52-4a0c-8c3b-3d0f2a9d7e11",
        },
        "object": {
            "api_version": "apps/v1",
            "kind": "Deployment",
            "namespace": "acme--shop",
            "name": "web",
            "uid": "9c1f3a0d-6a44-4a8e-9f0e-2b6d5c4e7f80",
        },
        "path": ".spec.replicas",
        "pointer": "/spec/replicas",
        "wanted": 3,
        "found": 1,
        "class": "human",
        "actor": "kubectl-scale",
        "state": "open",
        "resolution": "",
        "first_seen": "2026-03-02T08:15:00Z",
        "last_seen": "2026-03-02T08:20:00Z",
        "times": 1,
        "repair_requested_by": "",
        "resolved_at": None,
        "resolved_by": "",
        "correlation_id": "7c1e0a8d5f5b4a6f9f0b7d3c2a1e4f60",
    },
    response_only=True,
)


class DriftPages(ItemsPagination):
    """The newest come first, unless the caller orders otherwise."""

    ordering = "-first_seen"


@dataclass(frozen=True)
class Found:
    """What a request is about."""

    tenant_name: str


class DriftView(ApiView):
    """What the views of drift share: whose it is."""

    found: Found | None = None
    collection = "drift"
    serializer_class = DriftSerializer
    queryset = Drift.objects.none()
    filter_backends: tuple[type, ...] = ()

    def get_queryset(self) -> Rows:
        """Operators see all drift, members that of their tenants."""
        if getattr(self, "swagger_fake_view", False):
            return Drift.objects.none()
        return drift_for(self.user)

    def named(self) -> Drift:
        """Return the difference that the path names. Raises NotFound."""
        drift: Drift | None = self.get_queryset().filter(uid=self.kwargs["uid"]).first()
        if drift is None:
            raise NotFound
        self.about([drift])
        return drift

    def about(self, rows: Sequence[Drift]) -> None:
        """Tell whoever keeps a log of requests whose drift it is; nobody's, if several tenants'."""
        tenants = {row.tenant for row in rows}
        self.found = Found(tenants.pop() if len(tenants) == 1 else "")


class DriftList(DriftView):
    """All of it."""

    pagination_class = DriftPages
    filterset_class = DriftFilter
    filter_backends = (StrictFilterBackend, DriftOrdering)
    ordering_fields = ("first_seen", "last_seen", "tenant", "cluster", "actor")

    def known_parameters(self) -> tuple[str, ...]:
        """Filters, ordering and a page."""
        return (*DriftFilter.base_filters, "limit", "cursor", "ordering")

    @extend_schema(operation_id="drift_list")
    def get(self, request: Request) -> Response:
        """List what differs (`?state=open`) and what differed, the newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class DriftDetail(DriftView):
    """One difference."""

    @extend_schema(operation_id="drift_retrieve", examples=[_SCALED])
    def get(self, request: Request, uid: str) -> Response:
        """Return one difference, also when it is over."""
        return Response(self.get_serializer(self.named()).data)


class _OneVerb(DriftView):
    """`POST /drift/{uid}:verb`."""

    act: ClassVar[Act]
    body_class: ClassVar[type[StrictSerializer]]

    def run(self, request: Request) -> Response:
        """Do it once: 202, or 200 when it is over already."""
        drift = self.named()
        body = self.body_class(data=self.body())
        body.is_valid(raise_exception=True)

        def answered() -> Response:
            count = resolve(self.user, self.act, [drift], **body.validated_data)
            drift.refresh_from_db()
            return Response(self.get_serializer(drift).data, status=202 if count else 200)

        return once(request, answered)


_ONE = {202: DriftSerializer, 200: DriftSerializer}


class DriftRepair(_OneVerb):
    """Repairs one."""

    act = Act.REPAIR
    body_class = NothingSerializer

    @extend_schema(operation_id="drift_repair", request=None, responses=_ONE, parameters=[KEY])
    def post(self, request: Request, uid: str) -> Response:
        """Set the field (or the whole object) back to what is wanted."""
        return self.run(request)


class DriftAccept(_OneVerb):
    """Accepts one."""

    act = Act.ACCEPT
    body_class = ReasonSerializer

    @extend_schema(
        operation_id="drift_accept", request=ReasonSerializer, responses=_ONE, parameters=[KEY]
    )
    def post(self, request: Request, uid: str) -> Response:
        """Make what was found what is wanted, for as long as the spec says what it says now."""
        return self.run(request)


class DriftIgnore(_OneVerb):
    """Ignores one."""

    act = Act.IGNORE
    body_class = IgnoredSerializer

    @extend_schema(
        operation_id="drift_ignore", request=IgnoredSerializer, responses=_ONE, parameters=[KEY]
    )
    def post(self, request: Request, uid: str) -> Response:
        """Leave the field to whoever owns it on the cluster, for a while or until revoked."""
        return self.run(request)
