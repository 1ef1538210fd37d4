"""Paths of the pages of apps and workflows."""

from django.urls import path

from delivery import (
    definitions,
    objects,
    published,
    revisions,
    rollouts,
    secrets,
    views,
    workflows,
)

_PROJECT = "tenants/<slug:tenant>/projects/<slug:project>"
_PUBLISHED = "definitions/published/<slug:kind>/<slug:name>"
_APP = f"{_PROJECT}/apps/<slug:app>"
_FLOW = f"{_PROJECT}/workflows/<slug:workflow>"
_RUN = f"{_FLOW}/runs/<int:number>"

urlpatterns = [
    path("apps", views.apps, name="apps"),
    path("apps-list", views.apps_fragment, name="apps-list"),
    path("definitions", definitions.definitions, name="definitions"),
    path("definitions/published", published.published, name="published"),
    path("definitions/published/new", published.published_new, name="published-new"),
    path(_PUBLISHED, published.published_one, name="published-one"),
    path(f"{_PUBLISHED}/edit", published.published_edit, name="published-edit"),
    path(f"{_PUBLISHED}/publish", published.published_send, name="published-send"),
    path(f"{_PUBLISHED}/delete", published.published_delete, name="published-delete"),
    path("definitions/<slug:kind>/<slug:type>", definitions.definition, name="definition"),
    path(f"{_PROJECT}/new-app", views.app_new, name="app-new"),
    path(f"{_PROJECT}/new-component", views.component_new, name="component-new"),
    path(f"{_PROJECT}/secrets", secrets.secrets, name="secrets"),
    path(f"{_PROJECT}/new-secret", secrets.secret_new, name="secret-new"),
    path(f"{_PROJECT}/secrets/<slug:secret>", secrets.secret_edit, name="secret-edit"),
    path(f"{_PROJECT}/secrets/<slug:secret>/delete", secrets.secret_delete, name="secret-delete"),
    path(_APP, views.app, name="app"),
    path(f"{_APP}/state", views.app_fragment, name="app-state"),
    path(f"{_APP}/objects", objects.app_objects, name="app-objects"),
    path(
        f"{_APP}/objects/<slug:cluster>/<slug:component>",
        objects.app_component,
        name="app-component",
    ),
    path(
        f"{_APP}/objects/<slug:cluster>/<slug:component>/events",
        objects.component_events,
        name="component-events",
    ),
    path(f"{_APP}/activity", views.app_activity, name="app-activity"),
    path(f"{_APP}/edit", views.app_edit, name="app-edit"),
    path(f"{_APP}/delete", views.app_delete, name="app-delete"),
    path(f"{_APP}/pause", rollouts.pause, name="app-pause"),
    path(f"{_APP}/break-glass", rollouts.break_glass, name="app-break-glass"),
    path(f"{_APP}/resume", rollouts.resume, name="app-resume"),
    path(f"{_APP}/promote", rollouts.promote, name="app-promote"),
    path(f"{_APP}/abort", rollouts.abort, name="app-abort"),
    path(f"{_APP}/revisions", revisions.revisions, name="app-revisions"),
    path(f"{_APP}/revisions/<int:number>", revisions.revision, name="app-revision"),
    path(f"{_APP}/revisions/<int:number>/rollback", revisions.rollback, name="app-rollback"),
    path(f"{_APP}/revisions/<int:number>/block", revisions.block, name="app-block"),
    path(f"{_APP}/revisions/<int:number>/unblock", revisions.unblock, name="app-unblock"),
    path(f"{_PROJECT}/workflows", workflows.workflows, name="workflows"),
    path(f"{_PROJECT}/new-workflow", workflows.workflow_new, name="workflow-new"),
    path(_FLOW, workflows.workflow, name="workflow"),
    path(f"{_FLOW}/edit", workflows.workflow_edit, name="workflow-edit"),
    path(f"{_FLOW}/delete", workflows.workflow_delete, name="workflow-delete"),
    path(f"{_FLOW}/versions/<int:number>", workflows.version, name="workflow-version"),
    path(f"{_FLOW}/run", workflows.run_new, name="workflow-run-new"),
    path(_RUN, workflows.run, name="workflow-run"),
    path(f"{_RUN}/state", workflows.run_fragment, name="workflow-run-state"),
    path(f"{_RUN}/<slug:verb>", workflows.run_verb, name="workflow-run-verb"),
]
