"""Pages of tenants and projects."""

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from reconcile.pages.finding import PageRequest, abilities, find, page, sent
from reconcile.pages.lists import newest_first, page_of
from reconcile.pages.polling import Poll, fragment
from reconcile.pages.writing import declared, delete, show_form
from reconcile.values import JSON
from tenancy.deletion import deletion_of
from tenancy.forms import ProjectForm, TenantForm
from tenancy.models import Project, Tenant
from tenancy.onboarding import checklist_of
from tenancy.restricting import described
from tenancy.statement import statement
from tenancy.timeline import events_for, news

ACTIONS = ("change", "add_project", "manage_members", "administer", "delete", "deliver")
_PROJECTS = 50
_ASK = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@page
def tenants(request: PageRequest) -> HttpResponse:
    """The tenants that the caller may see."""
    context = _tenants(request)
    return render(request, "tenancy/tenants.html", context)


@require_safe
@page
def tenants_fragment(request: PageRequest) -> HttpResponse:
    """The list alone, for as long as something in it is unsettled."""
    context = _tenants(request)
    return fragment(request, "tenancy/_tenants.html", context, context["poll"])


def _tenants(request: PageRequest) -> JSON:
    rows = Tenant.objects.visible_to(request.user).annotate(project_count=Count("projects"))
    if words := request.GET.get("q", "").strip():
        rows = rows.filter(name__icontains=words[:63])
    shown = page_of(request, rows.prefetch_related("placements__cluster").order_by("name"))
    roles = dict(request.user.memberships.values_list("tenant_id", "role"))
    for row in shown:
        row.role = roles.get(row.pk, "")
    may_create = may_create_tenants(request.user)
    poll = Poll.of(request, reverse("tenants-list"), shown)
    return {"page": shown, "q": words, "may_create": may_create, "poll": poll}


def may_create_tenants(user: User) -> bool:
    """Operators, and users with the permission."""
    return user.is_staff or user.has_perm("tenancy.add_tenant")


@_ASK
@page
def tenant_new(request: PageRequest) -> HttpResponse:
    """A form for a new tenant."""
    if not may_create_tenants(request.user):
        raise PermissionDenied
    form = TenantForm(sent(request), user=request.user)
    if declared(request, form):
        return redirect("tenant", form.instance.name)
    return show_form(request, "tenancy/tenant_form.html", form)


@require_safe
@page
def tenant(request: PageRequest, tenant: str) -> HttpResponse:
    """A tenant: its projects, its state per cluster, its rules."""
    row = find(_described(), request, name=tenant)
    return render(request, "tenancy/tenant.html", _tenant(request, row, "overview"))


@require_safe
@page
def tenant_fragment(request: PageRequest, tenant: str) -> HttpResponse:
    """The part of a tenant's page that moves."""
    row = find(_described(), request, name=tenant)
    context = _tenant(request, row, "overview")
    return fragment(request, "tenancy/_tenant.html", context, context["poll"])


def _described() -> "QuerySet[Tenant]":
    rows = Tenant.objects.select_related("onboarding")
    return rows.prefetch_related("placements__cluster", "projects__placements__cluster")


def _tenant(request: PageRequest, row: Tenant, tab: str) -> JSON:
    inside = row.projects.select_related("tenant").prefetch_related("placements__cluster")
    projects = page_of(request, inside.order_by("name"), _PROJECTS)
    rows = [row, *row.placements.all(), *projects]
    poll = Poll.of(request, reverse("tenant-state", args=[row.name]), rows)
    return {
        **tenant_frame(request, row, tab),
        "projects": projects,
        "checklist": checklist_of(row),
        "ledger": statement(row),
        "usage": row.usage(),
        "rules": described(row.in_force(), row.network, row.owner_subjects),
        "poll": poll,
    }


def tenant_frame(request: PageRequest, row: Tenant, tab: str) -> JSON:
    """Return what the header of each of a tenant's pages needs."""
    may = abilities(row, request.user, ACTIONS)
    return {"tenant": row, "may": may, "role": row.role_of(request.user), "tab": tab}


@require_safe
@page
def tenant_activity(request: PageRequest, tenant: str) -> HttpResponse:
    """What happened to a tenant and to all inside of it."""
    row = find(Tenant.objects.all(), request, name=tenant)
    events = newest_first(request, news(events_for(request.user)).filter(tenant=row.name))
    context = {**tenant_frame(request, row, "activity"), "events": events}
    return render(request, "tenancy/tenant_activity.html", context)


@_ASK
@page
def tenant_edit(request: PageRequest, tenant: str) -> HttpResponse:
    """A form for what the caller may change of a tenant."""
    row = find(Tenant.objects.all(), request, "change", name=tenant)
    form = TenantForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("tenant", tenant)
    context = tenant_frame(request, row, "settings")
    return show_form(request, "tenancy/tenant_form.html", form, context)


@_ASK
@page
def tenant_delete(request: PageRequest, tenant: str) -> HttpResponse:
    """Asks for the name, then for the deletion."""
    row = find(Tenant.objects.all(), request, "delete", name=tenant)
    up = reverse("tenant", args=[row.name])
    shown = deletion_of(row).on_page()
    return delete(request, row, tenant, up=up, done=reverse("tenants"), shown=shown)


@_ASK
@page
def project_new(request: PageRequest, tenant: str) -> HttpResponse:
    """A form for a new project."""
    parent = find(Tenant.objects.all(), request, "add_project", name=tenant)
    row = Project(tenant=parent)
    form = ProjectForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("project", tenant, row.name)
    return show_form(request, "tenancy/project_form.html", form, {"tenant": parent})


@_ASK
@page
def project_edit(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """A form for a project."""
    row = find(Project.objects.all(), request, "change", tenant__name=tenant, name=project)
    form = ProjectForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("project", tenant, project)
    context = {"tenant": row.tenant, "project": row}
    return show_form(request, "tenancy/project_form.html", form, context)


@_ASK
@page
def project_delete(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """Asks for the name, then for the deletion."""
    row = find(Project.objects.all(), request, "delete", tenant__name=tenant, name=project)
    up = reverse("project", args=[tenant, project])
    done, shown = reverse("tenant", args=[tenant]), deletion_of(row).on_page()
    return delete(request, row, project, up=up, done=done, shown=shown)
