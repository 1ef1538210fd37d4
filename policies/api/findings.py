"""Findings over HTTP: what policy sets that only warn or audit have let pass."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from policies.finding import FindingFilter, findings_for
from policies.models import Finding, PolicySet
from reconcile.api import lookup
from reconcile.api.filters import Rows, StrictFilterBackend
from reconcile.api.pagination import NewestFirst
from reconcile.api.views import ApiView


class PolicyFindingSerializer(serializers.ModelSerializer[Finding]):
    """An object that breaks a rule of a policy set which lets it pass."""

    policyset = serializers.CharField(source="policyset_name")
    attachment = serializers.CharField(source="attachment_name")
    tenant = serializers.CharField(source="tenant.name")
    project = serializers.SerializerMethodField(help_text="Empty for a tenant as a whole.")
    cluster = serializers.CharField(help_text="Empty for what is told without any.")

    class Meta:
        model = Finding
        fields = (
            *("uid", "policyset", "attachment", "version", "mode", "rule"),
            *("tenant", "project", "cluster", "namespace", "kind", "name", "message"),
            *("first_seen", "last_seen", "resolved_at"),
        )

    def get_project(self, row: Finding) -> str:
        """Return the name of its project."""
        return row.project.name if row.project else ""


class FindingList(ApiView):
    """All that the caller may see."""

    serializer_class = PolicyFindingSerializer
    pagination_class = NewestFirst
    filterset_class = FindingFilter
    filter_backends = (StrictFilterBackend,)
    queryset = Finding.objects.none()

    def known_parameters(self) -> tuple[str, ...]:
        """Filters and a page."""
        return (*FindingFilter.base_filters, "limit", "cursor")

    def get_queryset(self) -> Rows:
        """Who writes policy sets sees every finding, members those of their tenants."""
        if getattr(self, "swagger_fake_view", False):
            return Finding.objects.none()
        return findings_for(self.user)

    @extend_schema(operation_id="findings_list")
    def get(self, request: Request, **kwargs: Any) -> Response:
        """List what breaks rules that only warn or audit, newest first, and what is over."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class PolicySetFindings(FindingList):
    """Those of one policy set."""

    collection = "policysets"

    def get_queryset(self) -> Rows:
        """Those of the set that the path names. Raises NotFound."""
        if getattr(self, "swagger_fake_view", False):
            return Finding.objects.none()
        rows = lookup.visible(PolicySet, self.user)
        row: PolicySet = lookup.only(rows, self.kwargs["policyset"], {})
        return findings_for(self.user, row)

    @extend_schema(operation_id="policyset_findings_list")
    def get(self, request: Request, **kwargs: Any) -> Response:
        """List what breaks the rules of a policy set where that only warns or audits."""
        return super().get(request, **kwargs)
