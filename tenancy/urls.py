"""Paths of the pages of tenants and projects."""

from django.urls import path

from tenancy import invitations, members, usage, views

_PROJECT = "tenants/<slug:tenant>/projects/<slug:project>"

urlpatterns = [
    path("tenants", views.tenants, name="tenants"),
    path("tenants-list", views.tenants_fragment, name="tenants-list"),
    path("new-tenant", views.tenant_new, name="tenant-new"),
    path("tenants/<slug:tenant>", views.tenant, name="tenant"),
    path("tenants/<slug:tenant>/state", views.tenant_fragment, name="tenant-state"),
    path("tenants/<slug:tenant>/usage", usage.tenant_usage, name="tenant-usage"),
    path("tenants/<slug:tenant>/activity", views.tenant_activity, name="tenant-activity"),
    path("tenants/<slug:tenant>/edit", views.tenant_edit, name="tenant-edit"),
    path("tenants/<slug:tenant>/delete", views.tenant_delete, name="tenant-delete"),
    path("tenants/<slug:tenant>/members", members.members, name="tenant-members"),
    path(
        "tenants/<slug:tenant>/members/<str:username>/remove",
        members.member_remove,
        name="member-remove",
    ),
    path(f"{_PROJECT}/members", members.project_members, name="project-members"),
    path(
        f"{_PROJECT}/members/<str:username>/remove",
        members.project_member_remove,
        name="project-member-remove",
    ),
    path("tenants/<slug:tenant>/invitations", invitations.invite_to_tenant, name="member-invite"),
    path(f"{_PROJECT}/invitations", invitations.invite_to_project, name="project-member-invite"),
    *(
        path(
            f"invitations/<uuid:uid>/{verb}",
            invitations.answer,
            {"verb": verb},
            name=f"member-{verb}",
        )
        for verb in ("accept", "decline", "withdraw")
    ),
    path("tenants/<slug:tenant>/new-project", views.project_new, name="project-new"),
    path(f"{_PROJECT}/edit", views.project_edit, name="project-edit"),
    path(f"{_PROJECT}/delete", views.project_delete, name="project-delete"),
]
