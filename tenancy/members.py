"""Pages of the members of tenants and projects."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from reconcile.pages.finding import PageRequest, find, page, sent
from reconcile.pages.writing import show_form
from reconcile.refusals import Conflicting
from reconcile.values import JSON
from tenancy.forms import MemberForm
from tenancy.intents import Role
from tenancy.models import Invitation, Project, Tenant
from tenancy.views import tenant_frame

_ASK = require_http_methods(["GET", "HEAD", "POST"])


@_ASK
@page
def members(request: PageRequest, tenant: str) -> HttpResponse:
    """The members of a tenant; who may manage them adds one or changes a role."""
    row = find(Tenant.objects.all(), request, _wanted(request), name=tenant)
    return _members(request, row, tenant_frame(request, row, "members"))


@_ASK
@page
def project_members(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """The members of one project, and those whom its tenant gives a role in it."""
    key = {"tenant__name": tenant, "name": project}
    row = find(Project.objects.select_related("tenant"), request, _wanted(request), **key)
    may = {"manage_members": not row.deleting and row.may(request.user, "manage_members")}
    inherited = row.tenant.memberships.select_related("user")
    frame = {"project": row, "tenant": row.tenant, "may": may, "inherited": inherited}
    return _members(request, row, frame)


def _wanted(request: PageRequest) -> str:
    return "manage_members" if request.method == "POST" else "view"


def _members(request: PageRequest, team: Tenant | Project, frame: JSON) -> HttpResponse:
    form = MemberForm(sent(request), team=team)
    if form.is_valid() and _admitted(request, team, form):
        return redirect(place_of(team))
    context = {**frame, "roles": list(Role), "team": team, "place": place_of(team)}
    context["members"] = team.memberships.select_related("user")
    if frame["may"]["manage_members"]:
        context["invitations"] = Invitation.objects.of(team).open()
    kind = "project" if isinstance(team, Project) else "tenant"
    return show_form(request, f"tenancy/{kind}_members.html", form, context)


def place_of(team: Tenant | Project) -> str:
    """Return the path of the page of its members."""
    if isinstance(team, Project):
        return reverse("project-members", args=[team.tenant.name, team.name])
    return reverse("tenant-members", args=[team.name])


def _admitted(request: PageRequest, row: Tenant | Project, form: MemberForm) -> bool:
    username, role = form.cleaned_data["username"], Role(form.cleaned_data["role"])
    user = User.objects.get(username=username)
    try:
        if role != Role.ADMIN:
            row.keep_an_admin(username, request.user)
    except Conflicting as refusal:
        form.add_error(None, refusal.detail)
        return False
    changed = row.admit(user, role, by=request.user.get_username())
    messages.success(request, f"{username} is {role} now." if changed else "Nothing changed.")
    return True


@require_POST
@page
def member_remove(request: PageRequest, tenant: str, username: str) -> HttpResponse:
    """End a membership."""
    row = find(Tenant.objects.all(), request, "manage_members", name=tenant)
    _remove(request, row, username)
    left = not Tenant.objects.visible_to(request.user).filter(pk=row.pk).exists()
    return redirect("tenants") if left else redirect("tenant-members", tenant)


@require_POST
@page
def project_member_remove(
    request: PageRequest, tenant: str, project: str, username: str
) -> HttpResponse:
    """End a membership in a project."""
    key: dict[str, Any] = {"tenant__name": tenant, "name": project}
    row = find(Project.objects.all(), request, "manage_members", **key)
    _remove(request, row, username)
    left = not Project.objects.visible_to(request.user).filter(pk=row.pk).exists()
    return redirect("home") if left else redirect("project-members", tenant, project)


def _remove(request: PageRequest, row: Tenant | Project, username: str) -> None:
    member = get_object_or_404(row.memberships.select_related("user"), user__username=username)
    try:
        row.keep_an_admin(username, request.user)
        row.dismiss(member.user, by=request.user.get_username())
        messages.success(request, f"{username} is no longer a member.")
    except Conflicting as refusal:
        messages.error(request, refusal.detail)
