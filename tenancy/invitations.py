"""Inviting people on the pages, and answering: each is one click that leads back."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from reconcile.pages.finding import PageRequest, find, page
from reconcile.refusals import Refusal
from tenancy.intents import Role
from tenancy.members import place_of
from tenancy.models import Invitation, Project, Tenant

_LONGEST = 150


@require_POST
@page
def invite_to_tenant(request: PageRequest, tenant: str) -> HttpResponse:
    """Invite a user name to a tenant."""
    return _invite(request, find(Tenant.objects.all(), request, "manage_members", name=tenant))


@require_POST
@page
def invite_to_project(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """Invite a user name to one project."""
    key = {"tenant__name": tenant, "name": project}
    return _invite(request, find(Project.objects.all(), request, "manage_members", **key))


def _invite(request: PageRequest, team: Tenant | Project) -> HttpResponse:
    username, role = (request.POST.get(name, "") for name in ("username", "role"))
    if not username or len(username) > _LONGEST or role not in list(Role):
        messages.error(request, "Name a user and a role.")
        return redirect(place_of(team))
    try:
        _, new = Invitation.invite(team, username, Role(role), by=request.user.get_username())
        said = "was invited" if new else "is invited already"
        messages.success(request, f"{username} {said} as {role}.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect(place_of(team))


@require_POST
@page
def answer(request: PageRequest, uid: UUID, verb: str) -> HttpResponse:
    """Accept, decline or withdraw an invitation; lead to what it opens, or back."""
    rows = Invitation.objects.visible_to(request.user).select_related("tenant", "project__tenant")
    row = get_object_or_404(rows, uid=uid)
    if not row.may(request.user, verb):
        raise PermissionDenied
    by = request.user.get_username()
    ends = {
        "accept": lambda: row.accept(request.user),
        "decline": lambda: row.decline(request.user),
        "withdraw": lambda: row.withdraw(by),
    }
    try:
        ends[verb]()
        messages.success(request, f"The invitation to {row.team} was {row.state.lower()}.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
        return redirect("home")
    if verb == "withdraw":
        return redirect(place_of(row.team))
    return redirect(_opened(row)) if verb == "accept" else redirect("home")


def _opened(row: Invitation) -> str:
    return place_of(row.team).removesuffix("/members")
