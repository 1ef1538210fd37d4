"""Paths of policy sets below `/api/v1/`."""

from typing import Any

from django.urls import path

from policies.api.bound import ProjectPolicies, TenantPolicies
from policies.api.celrules import CelRuleDetail, CelRuleList, PublishRules
from policies.api.exceptions import ExceptionDetail, ExceptionList
from policies.api.findings import FindingList, PolicySetFindings
from policies.api.simulations import (
    Simulate,
    SimulationDetail,
    SimulationFindings,
    SimulationList,
)
from policies.api.versions import VersionDetail, VersionDiff, VersionList
from policies.api.views import AttachmentView, CatalogueView, PolicySetView
from tenancy.api.urls import of_project

_COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
_PROMOTE: dict[str, Any] = {"post": "promote"}
_OBJECT: dict[str, Any] = {
    "get": "retrieve",
    "put": "replace",
    "patch": "partial_update",
    "delete": "destroy",
}
_SET = "policysets/<slug:policyset>"
_EXCEPTIONS = f"{_SET}/attachments/<slug:attachment>/exceptions"

urlpatterns = [
    path("policysets", PolicySetView.as_view(_COLLECTION)),
    path("policysets:catalogue", CatalogueView.as_view()),
    path("policysets/<slug:name>", PolicySetView.as_view(_OBJECT)),
    path(f"{_SET}/versions", VersionList.as_view()),
    path(f"{_SET}/versions/<int:number>", VersionDetail.as_view()),
    path(f"{_SET}/versions/<int:number>/diff", VersionDiff.as_view()),
    path(f"{_SET}:simulate", Simulate.as_view()),
    path(f"{_SET}/simulations", SimulationList.as_view()),
    path(f"{_SET}/simulations/<uuid:uid>", SimulationDetail.as_view()),
    path(f"{_SET}/simulations/<uuid:uid>/findings", SimulationFindings.as_view()),
    path(f"{_SET}/findings", PolicySetFindings.as_view()),
    path("celrules", CelRuleList.as_view()),
    path("celrules/<slug:name>", CelRuleDetail.as_view()),
    path("clusters/<slug:name>:publish-rules", PublishRules.as_view({"post": "publish"})),
    path("findings", FindingList.as_view()),
    path(f"{_SET}/attachments", AttachmentView.as_view(_COLLECTION)),
    path(f"{_SET}/attachments/<slug:name>", AttachmentView.as_view(_OBJECT)),
    path(f"{_SET}/attachments/<slug:name>:promote", AttachmentView.as_view(_PROMOTE)),
    path(_EXCEPTIONS, ExceptionList.as_view()),
    path(f"{_EXCEPTIONS}/<uuid:uid>", ExceptionDetail.as_view()),
    path("tenants/<slug:tenant>/policies", TenantPolicies.as_view()),
    *of_project("policies", ProjectPolicies),
]
