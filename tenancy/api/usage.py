"""What a tenant uses, over HTTP: as clusters count it, now and over time."""

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.filters import Rows, StrictFilterBackend
from reconcile.api.pagination import NewestFirst
from tenancy.api.members import TeamOfTenant
from tenancy.models import UsageSample


class UsageSampleSerializer(serializers.ModelSerializer[UsageSample]):
    """What was used of one resource on one cluster at one time; Kubernetes quantities."""

    cluster = serializers.CharField(source="cluster.name")

    class Meta:
        model = UsageSample
        fields = ("at", "cluster", "resource", "used", "hard")


class UsageFilter(filters.FilterSet):  # type: ignore[misc]
    """By resource, cluster, and since when."""

    resource = filters.CharFilter()
    cluster = filters.CharFilter(field_name="cluster__name")
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")


class UsageList(TeamOfTenant):
    """What was used, newest first; what is used now is in `/quota`."""

    serializer_class = UsageSampleSerializer
    pagination_class = NewestFirst
    filterset_class = UsageFilter
    filter_backends = (StrictFilterBackend,)  # type: ignore[assignment]
    query_parameters = (*UsageFilter.base_filters, "limit", "cursor")
    queryset = UsageSample.objects.none()

    def get(self, request: Request, tenant: str) -> Response:
        """List what the tenant used, newest first: written down every few minutes.

        What is used now is in `/tenants/{tenant}/quota`.
        """
        rows: Rows = self.team().usage_samples.select_related("cluster")
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
