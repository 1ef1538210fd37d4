"""The audit log over HTTP: for tenant-admins theirs, for operators all of it."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.serializers import AuditSerializer
from access.models import AuditRecord
from reconcile.api.filters import Rows, StrictFilterBackend
from reconcile.api.pagination import NewestFirst
from reconcile.api.views import ApiView


class AuditFilter(filters.FilterSet):  # type: ignore[misc]
    """By who, what, where and what came of it."""

    source = filters.ChoiceFilter(choices=AuditRecord.Source.choices)
    actor = filters.CharFilter()
    verb = filters.CharFilter()
    resource = filters.CharFilter()
    namespace = filters.CharFilter()
    name = filters.CharFilter()
    status = filters.NumberFilter()
    tenant = filters.CharFilter()
    cluster = filters.CharFilter()
    grant = filters.CharFilter()
    correlation_id = filters.CharFilter()
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")


class AuditList(ApiView):
    """The log."""

    serializer_class = AuditSerializer
    pagination_class = NewestFirst
    filterset_class = AuditFilter
    filter_backends = (StrictFilterBackend,)
    queryset = AuditRecord.objects.none()

    def known_parameters(self) -> tuple[str, ...]:
        """Filters and a page."""
        return (*AuditFilter.base_filters, "limit", "cursor")

    def get_queryset(self) -> Rows:
        """Return what the caller may read."""
        if getattr(self, "swagger_fake_view", False):
            return AuditRecord.objects.none()
        return AuditRecord.objects.visible_to(self.user)

    @extend_schema(operation_id="audit_list")
    def get(self, request: Request) -> Response:
        """List who did or tried what, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
