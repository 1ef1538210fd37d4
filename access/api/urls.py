"""Paths of tokens, of oneself, of grants and of the audit log, under `/api/v1/`."""

from django.urls import path

from access.api.audit import AuditList
from access.api.grants import GrantView, ProjectKubeconfigs, TenantKubeconfigs
from access.api.tokens import KeySetView, MeView, RefreshView, RevokeView, TokenView

urlpatterns = [
    path("token", TokenView.as_view(), name="token"),
    path("token/refresh", RefreshView.as_view(), name="token-refresh"),
    path("token/revoke", RevokeView.as_view(), name="token-revoke"),
    path("jwks", KeySetView.as_view(), name="jwks"),
    path("me", MeView.as_view(), name="me"),
    path("grants", GrantView.as_view({"get": "list"})),
    path(
        "grants/<slug:name>",
        GrantView.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("grants/<slug:name>:revoke", GrantView.as_view({"post": "revoke"})),
    path(
        "tenants/<slug:name>:issue-kubeconfig",
        TenantKubeconfigs.as_view({"post": "issue_kubeconfig"}),
    ),
    path(
        "projects/<slug:name>:issue-kubeconfig",
        ProjectKubeconfigs.as_view({"post": "issue_kubeconfig"}),
    ),
    path(
        "tenants/<slug:tenant>/projects/<slug:name>:issue-kubeconfig",
        ProjectKubeconfigs.as_view({"post": "issue_kubeconfig"}),
    ),
    path("audit", AuditList.as_view(), name="audit"),
]
