"""Paths of the pages of kubeconfigs."""

from django.urls import path

from access import log, views

urlpatterns = [
    path("audit", log.audit, name="audit-log"),
    path("grants", views.grants, name="grants"),
    path("grants-list", views.grants_fragment, name="grants-list"),
    path("grants/<slug:grant>/revoke", views.grant_revoke, name="grant-revoke"),
    path("tenants/<slug:tenant>/issue-kubeconfig", views.issue_tenant, name="issue-tenant"),
    path(
        "tenants/<slug:tenant>/projects/<slug:project>/issue-kubeconfig",
        views.issue_project,
        name="issue-project",
    ),
]
