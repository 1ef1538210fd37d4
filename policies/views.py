"""Pages of policy sets: what they say, whom they bind, and how far those have come."""

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from policies.comparing import compare
from policies.explaining import explain
from policies.forms import PolicySetForm
from policies.going import ask_and_delete
from policies.models import Attachment, PolicySet
from policies.models.policyset import governs
from policies.models.progress import progress, restless
from policies.rules.catalogue import CATALOGUE, starter
from reconcile.pages.finding import PageRequest, abilities, find, page, sent
from reconcile.pages.lists import page_of
from reconcile.pages.polling import Poll, fragment
from reconcile.pages.writing import declared, show_form
from reconcile.values import JSON
from tenancy.models import Project, Tenant
from tenancy.restricting import described
from tenancy.views import tenant_frame

_ASK = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@page
def policies(request: PageRequest) -> HttpResponse:
    """The policy sets that the caller may see."""
    return render(request, "policies/policies.html", _policies(request))


@require_safe
@page
def policies_fragment(request: PageRequest) -> HttpResponse:
    """The list alone, for as long as something in it is unsettled."""
    context = _policies(request)
    return fragment(request, "policies/_policies.html", context, context["poll"])


def _policies(request: PageRequest) -> JSON:
    rows = PolicySet.objects.visible_to(request.user)
    rows = rows.annotate(attachment_count=Count("attachments"))
    if words := request.GET.get("q", "").strip():
        rows = rows.filter(name__icontains=words[:63])
    shown = page_of(request, rows.order_by("name"))
    counted = progress(request.user)
    for row in shown:
        row.parts = counted.get(row.pk, (0, 0))  # a poll compares them
    poll = Poll.of(request, reverse("policies-list"), shown)
    may = {"create": governs(request.user)}
    return {"page": shown, "q": words, "may": may, "poll": poll}


@require_safe
@page
def catalogue(request: PageRequest) -> HttpResponse:
    """Policy sets to begin with."""
    starters = [(each, described(each.rules, [], [])) for each in CATALOGUE]
    context = {"starters": starters, "may": {"create": governs(request.user)}}
    return render(request, "policies/catalogue.html", context)


@_ASK
@page
def policy_new(request: PageRequest) -> HttpResponse:
    """A form for a new policy set; `?from=` fills it with one of the catalogue."""
    if not governs(request.user):
        raise PermissionDenied
    instance = PolicySet()
    if found := starter(request.GET.get("from", "")):
        instance = PolicySet(
            name=found.name, description=found.description, rules=dict(found.rules)
        )
    form = PolicySetForm(sent(request), instance=instance, user=request.user)
    if declared(request, form):
        return redirect("policy", form.instance.name)
    context = {"starter": found}
    return show_form(request, "policies/policy_form.html", form, context)


@require_safe
@page
def policy(request: PageRequest, policyset: str) -> HttpResponse:
    """A policy set: its rules and, for who writes it, whom it binds."""
    row = find(PolicySet.objects.all(), request, name=policyset)
    return render(request, "policies/policy.html", _policy(request, row))


@require_safe
@page
def policy_fragment(request: PageRequest, policyset: str) -> HttpResponse:
    """The part of its page that moves."""
    row = find(PolicySet.objects.all(), request, name=policyset)
    context = _policy(request, row)
    return fragment(request, "policies/_policy.html", context, context["poll"])


def _policy(request: PageRequest, row: PolicySet) -> JSON:
    rows = Attachment.objects.visible_to(request.user).filter(policy_set=row)
    rows = rows.select_related("policy_set").prefetch_related("exceptions", "impositions")
    shown = page_of(request, rows.order_by("name"))
    moving = restless(Tenant.objects.filter(imposition__attachments__policy_set=row).order_by())
    for each in shown:
        bound = {one.tenant_id for one in each.impositions.all()}
        each.parts = (len(bound), len(bound - moving))
    poll = Poll.of(request, reverse("policy-state", args=[row.name]), [row, *shown])
    spared = [one for each in shown for one in each.exceptions.all()]
    return {
        **policy_frame(request, row, "overview"),
        "page": shown,
        "exceptions": spared,
        "rules": described(row.rules, [], []),
        "poll": poll,
    }


def policy_frame(request: PageRequest, row: PolicySet, tab: str) -> JSON:
    """Return what the header of each of a set's pages needs."""
    return {"policyset": row, "may": abilities(row, request.user, ("change",)), "tab": tab}


@_ASK
@page
def policy_edit(request: PageRequest, policyset: str) -> HttpResponse:
    """A form for other rules: they make a new version."""
    row = find(PolicySet.objects.all(), request, "change", name=policyset)
    form = PolicySetForm(sent(request), instance=row, user=request.user)
    if declared(request, form):
        return redirect("policy", policyset)
    context = policy_frame(request, row, "edit")
    return show_form(request, "policies/policy_form.html", form, context)


@_ASK
@page
def policy_delete(request: PageRequest, policyset: str) -> HttpResponse:
    """Asks for the name, then for the deletion."""
    row = find(PolicySet.objects.all(), request, "change", name=policyset)
    up, done = reverse("policy", args=[policyset]), reverse("policies")
    return ask_and_delete(request, row, policyset, up=up, done=done)


@require_safe
@page
def policy_versions(request: PageRequest, policyset: str) -> HttpResponse:
    """The versions of a set, newest first."""
    row = find(PolicySet.objects.all(), request, name=policyset)
    shown = page_of(request, row.versions.defer("rules").order_by("-number"))
    context = {**policy_frame(request, row, "versions"), "page": shown}
    return render(request, "policies/versions.html", context)


@require_safe
@page
def policy_version(request: PageRequest, policyset: str, number: int) -> HttpResponse:
    """One version: how it differs from the one before it, and all that it says."""
    row = find(PolicySet.objects.all(), request, name=policyset)
    found = get_object_or_404(row.versions, number=number)
    before = row.versions.filter(number=number - 1).first()
    context = {**policy_frame(request, row, "versions"), "version": found, "before": before}
    context["diff"] = list(compare(before.rules if before else None, found.rules))
    context["rules"] = described(found.rules, [], [])
    return render(request, "policies/version.html", context)


# --- What binds a tenant or a project.


@require_safe
@page
def tenant_policies(request: PageRequest, tenant: str) -> HttpResponse:
    """What binds a tenant, and from which set."""
    row = find(Tenant.objects.all(), request, name=tenant)
    context = {**tenant_frame(request, row, "policies"), "bound": explain(row)}
    return render(request, "policies/tenant.html", context)


@require_safe
@page
def project_policies(request: PageRequest, tenant: str, project: str) -> HttpResponse:
    """What binds a project, and from which set."""
    rows = Project.objects.select_related("tenant")
    row = find(rows, request, tenant__name=tenant, name=project)
    context = {"tenant": row.tenant, "project": row, "bound": explain(row)}
    return render(request, "policies/project.html", context)
