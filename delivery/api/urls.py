"""Paths of apps and workflows below `/api/v1/`, short and with all parents (the self links)."""

from django.urls import URLPattern, path

from delivery.api import app_runs, applied, secrets, workflows
from delivery.api.acting import AppActs
from delivery.api.blocks import RevisionBlocks
from delivery.api.definitions import DefinitionDetail, DefinitionList
from delivery.api.drift import AppDecisions, AppDrift
from delivery.api.exporting import AppExport, AppImport
from delivery.api.logs import AppLogs
from delivery.api.objects import AppObjects
from delivery.api.published import PublishDefinitions, PublishedDetail, PublishedList
from delivery.api.revisions import RevisionDetail, RevisionDiff, RevisionList
from delivery.api.rollouts import AppRollouts
from delivery.api.types import PlatformTypes, TenantTypes
from delivery.api.views import AppView
from delivery.rules.definitions import DefinitionKind
from delivery.rules.publishing import PublishedKind
from tenancy.api.urls import drifting


def _below(parents: str) -> list[URLPattern]:
    app = f"{parents}apps/<slug:name>"
    return [
        path(f"{parents}apps", AppView.as_view({"get": "list", "post": "create"})),
        path(f"{parents}apps:import", AppImport.as_view({"post": "bring"})),
        path(
            app,
            AppActs.as_view(
                {
                    "get": "retrieve",
                    "put": "replace",
                    "patch": "partial_update",
                    "delete": "destroy",
                }
            ),
        ),
        path(f"{app}:rollback", AppView.as_view({"post": "rollback"})),
        path(f"{app}:restart", AppActs.as_view({"post": "restart"})),
        path(f"{app}:scale", AppActs.as_view({"post": "scale"})),
        path(f"{app}:plan", AppView.as_view({"post": "plan"})),
        path(f"{app}/rollout", AppRollouts.as_view({"get": "rollout"})),
        *(
            path(f"{app}:{word}", AppRollouts.as_view({"post": word}))
            for word in ("pause", "resume", "promote", "abort")
        ),
        path(f"{app}:break-glass", AppRollouts.as_view({"post": "break_glass"})),
        path(f"{app}/export", AppExport.as_view({"get": "export"})),
        path(f"{app}/objects", AppObjects.as_view({"get": "objects"})),
        path(f"{app}/kube-events", AppObjects.as_view({"get": "events"})),
        path(f"{app}/logs", AppLogs.as_view({"get": "logs"})),
        *drifting(app, AppDrift, AppDecisions),
        *app_runs.below(app),
        path(f"{app}/revisions", RevisionList.as_view()),
        path(f"{app}/revisions/<int:number>", RevisionDetail.as_view()),
        path(f"{app}/revisions/<int:number>:block", RevisionBlocks.as_view({"post": "block"})),
        path(f"{app}/revisions/<int:number>:unblock", RevisionBlocks.as_view({"post": "unblock"})),
        path(f"{app}/revisions/<int:number>/diff", RevisionDiff.as_view()),
    ]


_KINDS = {"components": DefinitionKind.COMPONENT, "traits": DefinitionKind.TRAIT}

urlpatterns = [
    path("definitions", DefinitionList.as_view()),
    path("definitions/allowed", PlatformTypes.as_view()),
    path("tenants/<slug:tenant>/definitions/allowed", TenantTypes.as_view()),
    *(
        path(f"definitions/{word}/<slug:name>", DefinitionDetail.as_view(kind=kind))
        for word, kind in _KINDS.items()
    ),
    path("definitions/published", PublishedList.as_view()),
    *(
        path(f"definitions/published/{kind}/<slug:name>", PublishedDetail.as_view(kind=kind))
        for kind in PublishedKind
    ),
    path("clusters/<slug:name>:publish", PublishDefinitions.as_view({"post": "publish"})),
    *applied.urlpatterns,
    *secrets.urlpatterns,
    *workflows.urlpatterns,
    *_below(""),
    *_below("tenants/<slug:tenant>/projects/<slug:project>/"),
]
