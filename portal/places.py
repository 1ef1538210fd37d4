"""Pages of clusters and projects: they show what several domains know."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from clusters.models import Cluster
from delivery.models import App
from reconcile.pages.finding import PageRequest, abilities, find, page
from reconcile.pages.lists import page_of
from reconcile.pages.polling import Poll, fragment
from reconcile.values import JSON
from tenancy.models import Project
from tenancy.statement import of_project


@require_safe
@page
def clusters(request: PageRequest) -> HttpResponse:
    """The registered clusters, for operators."""
    return render(request, "portal/clusters.html", _clusters(request))


@require_safe
@page
def clusters_fragment(request: PageRequest) -> HttpResponse:
    """The list alone, for as long as something in it is unsettled."""
    context = _clusters(request)
    return fragment(request, "portal/_clusters.html", context, context["poll"])


def _clusters(request: PageRequest) -> JSON:
    if not request.user.is_staff:
        raise PermissionDenied
    rows = Cluster.objects.visible_to(request.user).prefetch_related("capabilities", "findings")
    shown = page_of(request, rows.order_by("name"))
    poll = Poll.of(request, reverse("clusters-list"), shown)
    in_admin = admin.site.is_registered(Cluster)
    return {"page": shown, "poll": poll, "in_admin": in_admin}


@require_safe
@page
def project(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """A project: its namespace, its apps, its state per cluster."""
    row = find(_described(), request, tenant__name=tenant, name=project)
    return render(request, "portal/project.html", _project(request, row))


@require_safe
@page
def project_fragment(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """The part of a project's page that moves."""
    row = find(_described(), request, tenant__name=tenant, name=project)
    context = _project(request, row)
    return fragment(request, "portal/_project.html", context, context["poll"])


def _described() -> "QuerySet[Project]":
    return Project.objects.select_related("tenant").prefetch_related("placements__cluster")


def _project(request: PageRequest, row: Project) -> JSON:
    apps = App.objects.filter(project=row).select_related("project__tenant")
    shown = page_of(request, apps.prefetch_related("placements__cluster"), size=50)
    path = reverse("project-state", args=[row.tenant.name, row.name])
    return {
        "project": row,
        "tenant": row.tenant,
        "page": shown,
        "ledger": of_project(row),
        "usage": row.usage(),
        "may": abilities(row, request.user, ("change", "delete", "deliver")),
        "poll": Poll.of(request, path, [row, *row.placements.all(), *shown]),
    }
