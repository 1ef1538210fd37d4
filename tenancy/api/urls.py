"""Paths of tenants, projects, members and events below `/api/v1/`."""

from typing import Any

from django.urls import URLPattern, path

from tenancy.api import drift, drift_sets
from tenancy.api.adopting import ProjectAdoption
from tenancy.api.drift_objects import (
    DecisionVerbs,
    DriftVerbs,
    ProjectDecisions,
    ProjectDrift,
    TenantDecisions,
    TenantDrift,
)
from tenancy.api.events import EventList
from tenancy.api.invitations import (
    InvitationAccept,
    InvitationDecline,
    InvitationDetail,
    InvitationWithdraw,
    MyInvitations,
    ProjectInvitations,
    TenantInvitations,
)
from tenancy.api.members import (
    ProjectMemberDetail,
    ProjectMemberList,
    TeamOfProject,
    TenantMemberDetail,
    TenantMemberList,
)
from tenancy.api.quota import ProjectQuota, QuotaEntries, TenantQuota
from tenancy.api.usage import UsageList
from tenancy.api.views import ProjectView, TenantView
from tenancy.drift import Act

_COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
_PLAN: dict[str, Any] = {"post": "plan"}
_ADOPT: dict[str, Any] = {"post": "adopt"}
_DELETION: dict[str, Any] = {"get": "deletion"}
_OBJECT: dict[str, Any] = {
    "get": "retrieve",
    "put": "replace",
    "patch": "partial_update",
    "delete": "destroy",
}


def drifting(
    object_path: str, verbs: type[DriftVerbs], decisions: type[DecisionVerbs]
) -> list[URLPattern]:
    """Return the paths below an object by which people decide about drift of it."""
    found = [path(f"{object_path}:{act}", verbs.as_view({"post": act.value})) for act in Act]
    listed: dict[str, Any] = {"get": "list", "post": "create"}
    return [
        *found,
        path(f"{object_path}/decisions", decisions.as_view(listed)),
        path(f"{object_path}/decisions/<uuid:uid>", decisions.as_view({"delete": "destroy"})),
    ]


def of_project(below: str, view: type[TeamOfProject]) -> list[URLPattern]:
    """Return both paths of what is below a project: by its name, and by its tenant's besides."""
    projects = ("projects/<slug:project>", "tenants/<slug:tenant>/projects/<slug:project>")
    return [path(f"{each}/{below}", view.as_view()) for each in projects]


urlpatterns = [
    path("tenants", TenantView.as_view(_COLLECTION)),
    path("tenants/<slug:name>", TenantView.as_view(_OBJECT)),
    path("tenants/<slug:tenant>/members", TenantMemberList.as_view()),
    path("tenants/<slug:tenant>/members/<str:username>", TenantMemberDetail.as_view()),
    path("tenants/<slug:name>/deletion", TenantView.as_view(_DELETION)),
    path("projects/<slug:name>/deletion", ProjectView.as_view(_DELETION)),
    path("tenants/<slug:tenant>/projects/<slug:name>/deletion", ProjectView.as_view(_DELETION)),
    path("tenants/<slug:tenant>/invitations", TenantInvitations.as_view()),
    *of_project("invitations", ProjectInvitations),
    path("invitations", MyInvitations.as_view()),
    path("invitations/<uuid:uid>", InvitationDetail.as_view()),
    path("invitations/<uuid:uid>:accept", InvitationAccept.as_view()),
    path("invitations/<uuid:uid>:decline", InvitationDecline.as_view()),
    path("invitations/<uuid:uid>:withdraw", InvitationWithdraw.as_view()),
    *of_project("members", ProjectMemberList),
    *of_project("members/<str:username>", ProjectMemberDetail),
    path("tenants/<slug:tenant>/quota", TenantQuota.as_view()),
    path("tenants/<slug:tenant>/quota/entries", QuotaEntries.as_view()),
    path("tenants/<slug:tenant>/usage", UsageList.as_view()),
    *of_project("quota", ProjectQuota),
    path("tenants/<slug:tenant>/projects", ProjectView.as_view(_COLLECTION)),
    path("tenants/<slug:tenant>/projects/<slug:name>", ProjectView.as_view(_OBJECT)),
    path("tenants/<slug:name>:plan", TenantView.as_view(_PLAN)),
    path("tenants/<slug:tenant>/projects/<slug:name>:plan", ProjectView.as_view(_PLAN)),
    path("projects/<slug:name>:plan", ProjectView.as_view(_PLAN)),
    path("projects/<slug:name>:adopt", ProjectAdoption.as_view(_ADOPT)),
    path("tenants/<slug:tenant>/projects/<slug:name>:adopt", ProjectAdoption.as_view(_ADOPT)),
    path("projects", ProjectView.as_view(_COLLECTION)),
    path("projects/<slug:name>", ProjectView.as_view(_OBJECT)),
    path("events", EventList.as_view()),
    path("drift", drift.DriftList.as_view()),
    path("drift:repair", drift_sets.DriftSetRepair.as_view()),
    path("drift:accept", drift_sets.DriftSetAccept.as_view()),
    path("drift:ignore", drift_sets.DriftSetIgnore.as_view()),
    path("drift/<uuid:uid>", drift.DriftDetail.as_view()),
    path("drift/<uuid:uid>:repair", drift.DriftRepair.as_view()),
    path("drift/<uuid:uid>:accept", drift.DriftAccept.as_view()),
    path("drift/<uuid:uid>:ignore", drift.DriftIgnore.as_view()),
    *drifting("tenants/<slug:name>", TenantDrift, TenantDecisions),
    *drifting("projects/<slug:name>", ProjectDrift, ProjectDecisions),
    *drifting("tenants/<slug:tenant>/projects/<slug:name>", ProjectDrift, ProjectDecisions),
]
