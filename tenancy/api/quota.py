"""The ledger of a quota over HTTP: who has what of it, what moves and why."""

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reconcile.api.filters import Rows, StrictFilterBackend
from tenancy.api.members import TeamOfProject, TeamOfTenant
from tenancy.models import QuotaEntry
from tenancy.statement import of_project, statement

_QUANTITY = "A Kubernetes quantity."


class ShareSerializer(serializers.Serializer[Any]):
    """What one project or cluster has of a resource."""

    name = serializers.CharField()
    promised = serializers.CharField(
        help_text="The project's own total or the cluster's floor; empty where there is none."
    )
    granted = serializers.CharField(help_text=_QUANTITY)
    used = serializers.CharField(help_text=_QUANTITY)


class LedgerLineSerializer(serializers.Serializer[Any]):
    """One resource over all clusters and projects."""

    resource = serializers.CharField()
    total = serializers.CharField(
        help_text="The hard total over all clusters; empty where only projects are bounded."
    )
    promised = serializers.CharField(help_text="What projects have as totals of their own.")
    granted = serializers.CharField(help_text="What clusters may be told now.")
    held = serializers.CharField(help_text="The most that clusters may still allow.")
    used = serializers.CharField(help_text="As clusters counted it last.")
    available = serializers.CharField(help_text="What can still be promised; more is refused.")
    projects = ShareSerializer(many=True)
    clusters = ShareSerializer(many=True)


class LedgerPartSerializer(serializers.Serializer[Any]):
    """One resource of one project on one cluster."""

    resource = serializers.CharField()
    cluster = serializers.CharField()
    project = serializers.CharField()
    namespace = serializers.CharField()
    target = serializers.CharField(help_text="What it is to get.")
    granted = serializers.CharField(help_text="What its cluster may be told now.")
    held = serializers.CharField(help_text="The most that its cluster may still allow.")
    used = serializers.CharField(help_text=_QUANTITY)
    why = serializers.CharField(help_text="What it waits for; empty when it is where it shall be.")


class LedgerSerializer(serializers.Serializer[Any]):
    """A quota and how it is divided."""

    division = serializers.CharField(help_text="even, weight or demand.")
    resources = LedgerLineSerializer(many=True, source="lines")
    moving = serializers.SerializerMethodField()

    @extend_schema_field(LedgerPartSerializer(many=True))
    def get_moving(self, found: Any) -> list[Any]:
        """The first hundred parts that are on the way to something else."""
        return list(LedgerPartSerializer(found.moving[:100], many=True).data)


class ProjectLedgerSerializer(LedgerSerializer):
    """What of its tenant's quota is about one project."""

    parts = LedgerPartSerializer(many=True)


class QuotaEntrySerializer(serializers.ModelSerializer[QuotaEntry]):
    """An entry of the ledger."""

    project = serializers.CharField(source="project.name")
    cluster = serializers.CharField(source="cluster.name")

    class Meta:
        model = QuotaEntry
        fields = ("resource", "cluster", "project", "target", "granted", "held", "updated_at")


class QuotaEntryFilter(filters.FilterSet):  # type: ignore[misc]
    """By resource, cluster or project."""

    resource = filters.CharFilter()
    cluster = filters.CharFilter(field_name="cluster__name")
    project = filters.CharFilter(field_name="project__name")


class TenantQuota(TeamOfTenant):
    """The ledger of a tenant."""

    serializer_class = LedgerSerializer
    queryset = QuotaEntry.objects.none()

    def get(self, request: Request, tenant: str) -> Response:
        """Return the quota by resource: total, promised, granted, used, available.

        Each is told by project and by cluster, with the parts that are on the move and why.
        """
        return Response(self.get_serializer(statement(self.team())).data)


class QuotaEntries(TeamOfTenant):
    """Every entry of the ledger."""

    serializer_class = QuotaEntrySerializer
    filterset_class = QuotaEntryFilter
    filter_backends = (StrictFilterBackend,)  # type: ignore[assignment]
    query_parameters = (*QuotaEntryFilter.base_filters, "limit", "cursor")
    queryset = QuotaEntry.objects.none()

    def get(self, request: Request, tenant: str) -> Response:
        """List what each project has on each cluster, by resource."""
        rows: Rows = self.team().quota_entries.select_related("project", "cluster")
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class ProjectQuota(TeamOfProject):
    """The part of a project in its tenant's quota."""

    serializer_class = ProjectLedgerSerializer
    queryset = QuotaEntry.objects.none()

    def get(self, request: Request, **names: str) -> Response:
        """Return what the project has of each resource, by cluster; nothing of its siblings."""
        return Response(self.get_serializer(of_project(self.team())).data)
