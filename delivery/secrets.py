"""Pages of a project's secrets: which there are, and fields for new values."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from delivery.models import ProjectSecret
from delivery.secret_form import SecretForm
from reconcile.pages.finding import PageRequest, abilities, find, page, sent
from reconcile.pages.lists import page_of
from reconcile.pages.writing import declared, delete, show_form
from reconcile.values import JSON
from tenancy.models import Project

_ASK = require_http_methods(["GET", "HEAD", "POST"])
_ACTIONS = ("deliver",)


def _project(request: PageRequest, action: str, tenant: str, project: str) -> Project:
    rows = Project.objects.select_related("tenant")
    return find(rows, request, action, tenant__name=tenant, name=project)


def _secret(request: PageRequest, action: str, *names: str) -> ProjectSecret:
    rows = ProjectSecret.objects.select_related("project__tenant")
    keys = ("project__tenant__name", "project__name", "name")
    return find(rows, request, action, **dict(zip(keys, names, strict=True)))


def _frame(request: PageRequest, row: Project) -> JSON:
    may = abilities(row, request.user, _ACTIONS)
    return {"project": row, "tenant": row.tenant, "may": may}


@require_safe
@page
def secrets(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """The secrets of a project, with their keys."""
    row = _project(request, "view", tenant, project)
    rows = ProjectSecret.objects.filter(project=row).prefetch_related("placements__cluster")
    context = {**_frame(request, row), "page": page_of(request, rows)}
    return render(request, "delivery/secrets.html", context)


@_ASK
@page
def secret_new(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """A form for a new secret of a project."""
    parent = _project(request, "deliver", tenant, project)
    form = SecretForm(sent(request), instance=ProjectSecret(project=parent), user=request.user)
    if declared(request, form):
        return redirect("secrets", tenant, project)
    return show_form(request, "delivery/secret_form.html", form, _frame(request, parent))


@_ASK
@page
def secret_edit(request: PageRequest, tenant: str, project: str, secret: str) -> HttpResponse:
    """A form for new values of a secret."""
    row = _secret(request, "change", tenant, project, secret)
    form = SecretForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("secrets", tenant, project)
    context = {**_frame(request, row.project), "secret": row, "apps": row.used_by()}
    return show_form(request, "delivery/secret_form.html", form, context)


@_ASK
@page
def secret_delete(request: PageRequest, tenant: str, project: str, secret: str) -> HttpResponse:
    """Asks for the name, then for the deletion."""
    row = _secret(request, "delete", tenant, project, secret)
    up = reverse("secret-edit", args=[tenant, project, secret])
    return delete(request, row, secret, up=up, done=reverse("secrets", args=[tenant, project]))
