"""Kubeconfigs over HTTP: issue, list, revoke."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.serializers import AskSerializer, GrantSerializer, IssuedSerializer
from access.asking import grant_for
from access.audit import describe
from access.issuing import Issued, issue
from access.models import KubeconfigGrant
from reconcile.api.filters import ObjectFilter, Rows
from reconcile.api.objects import ObjectView
from reconcile.api.verbs import secret_verb, verb
from reconcile.models.declared import Declared
from tenancy.api.views import ProjectView, TenantView

_YAML = "application/yaml"


class GrantFilter(ObjectFilter):
    """By what it opens, whose it is, and whether it still does."""

    tenant = filters.CharFilter(field_name="tenant__name")
    project = filters.CharFilter(field_name="project__name")
    subject = filters.CharFilter(field_name="subject__username")
    live = filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")], method="filter_live"
    )

    def filter_live(self, rows: Rows, name: str, value: str) -> Rows:
        """Keep those that open a door now, or those that do not."""
        live = KubeconfigGrant.objects.live()
        return rows.filter(pk__in=live) if value == "true" else rows.exclude(pk__in=live)


class GrantView(ObjectView):
    """Grants: made by issuing a kubeconfig, kept as history."""

    model: ClassVar[type[Declared]] = KubeconfigGrant
    collection = "grants"
    serializer_class = GrantSerializer
    filterset_class = GrantFilter
    prefetch = ("placements__cluster", "tenant", "project", "subject")
    ordering_fields = ("created_at", "expires_at", "name")

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """End the grant, as `:revoke` does; it stays as history."""
        row = self.find("revoke")
        row.revoke(self.user.get_username())
        return self.show(row, status=202)

    @verb("revoke")
    def revoke(self, row: KubeconfigGrant, data: Mapping[str, Any]) -> None:
        """End the grant now: its kubeconfig stops working, open streams are cut. Idempotent."""
        describe(self.request._request, grant=row.name, tenant=row.tenant_name)
        row.revoke(self.user.get_username())


class KubeconfigResponse(Response):
    """A kubeconfig as the file that it is."""

    @property
    def rendered_content(self) -> str:
        """Return the text itself, whatever renderer was chosen."""
        self["Content-Type"] = _YAML
        return str(self.data)


def _issued(view: ObjectView, row: Any, data: Mapping[str, Any], earlier: str) -> tuple[Any, str]:
    """Make or renew the grant and answer with what is shown once."""
    if earlier:
        grant = KubeconfigGrant.objects.get(name=earlier)
    else:
        grant = grant_for(view.user, row, **data)
    describe(view.request._request, grant=grant.name, tenant=grant.tenant.name)
    issued = issue(grant, again=bool(earlier))
    return _answer(view, issued), grant.name


def _answer(view: ObjectView, issued: Issued) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Location": f"/api/v1/grants/{issued.grant.name}",
        "Expires": "0",
    }
    accepted = view.request.headers.get("Accept", "").split(",")
    if _YAML in {part.partition(";")[0].strip() for part in accepted}:
        return KubeconfigResponse(issued.kubeconfig, status=201, headers=headers)
    grant = KubeconfigGrant.objects.prefetch_related(*GrantView.prefetch).get(pk=issued.grant.pk)
    shown = GrantSerializer(grant, context=view.get_serializer_context()).data
    body = {"grant": shown, "kubeconfig": issued.kubeconfig, "expires_at": shown["expires_at"]}
    return Response(body, status=201, headers=headers)


_documented = extend_schema(
    responses={
        (201, "application/json"): IssuedSerializer,
        (201, _YAML): OpenApiTypes.STR,
    }
)


class TenantKubeconfigs(TenantView):
    """`POST /tenants/{name}:issue-kubeconfig`."""

    @_documented
    @secret_verb("view", body=AskSerializer, answer=IssuedSerializer)
    def issue_kubeconfig(
        self, row: Any, data: Mapping[str, Any], earlier: str
    ) -> tuple[Response, str]:
        """Issue a kubeconfig for a tenant, shown once. It follows the tenant's namespaces."""
        return _issued(self, row, data, earlier)


class ProjectKubeconfigs(ProjectView):
    """`POST /projects/{name}:issue-kubeconfig`."""

    @_documented
    @secret_verb("view", body=AskSerializer, answer=IssuedSerializer)
    def issue_kubeconfig(
        self, row: Any, data: Mapping[str, Any], earlier: str
    ) -> tuple[Response, str]:
        """Issue a kubeconfig for one project, shown once."""
        return _issued(self, row, data, earlier)
