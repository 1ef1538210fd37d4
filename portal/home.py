"""Home: what is not settled, and what happened lately, across all that a person may see."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from access.models import KubeconfigGrant
from clusters.models import Cluster
from delivery.models import App
from portal.standing import standing
from reconcile.models.declared import Declared
from reconcile.pages.finding import PageRequest, page
from reconcile.pages.polling import Poll, fragment, is_settled
from reconcile.values import JSON, Phase
from tenancy.models import Invitation, Project, Tenant
from tenancy.timeline import events_for, news
from tenancy.views import may_create_tenants

_SHOWN = 25
_RECENT = 10
_UNSETTLED = ~Q(phase=Phase.DEPLOYED) | Q(deletion_requested_at__isnull=False)


@require_safe
@page
def home(request: PageRequest) -> HttpResponse:
    """The first page."""
    return render(request, "portal/home.html", _home(request))


@require_safe
@page
def home_fragment(request: PageRequest) -> HttpResponse:
    """The part of it that moves."""
    context = _home(request)
    return fragment(request, "portal/_home.html", context, context["poll"])


def _home(request: PageRequest) -> JSON:
    kinds = list(_kinds(request))
    found = [row for _, rows in kinds for row in rows.filter(_UNSETTLED)[:_SHOWN]]
    unsettled = sorted(found, key=_since, reverse=True)[:_SHOWN]
    moving = [row for row in unsettled if not is_settled(row)]
    invited = Invitation.objects.addressed_to(request.user)
    return {
        "unsettled": unsettled,
        "counts": [_count(name, rows) for name, rows in kinds],
        "events": news(events_for(request.user)).order_by("-pk")[:_RECENT],
        "live_grants": KubeconfigGrant.objects.filter(subject=request.user).live().count(),
        "invitations": invited.select_related("tenant", "project__tenant")[:_SHOWN],
        "may_create": may_create_tenants(request.user),
        "poll": Poll.of(request, reverse("home-state"), moving),
    }


def _kinds(request: PageRequest) -> Iterator[tuple[str, "QuerySet[Declared]"]]:
    """Yield each kind with the rows that the caller may see."""
    if request.user.is_staff:
        yield "clusters", Cluster.objects.visible_to(request.user)
    yield "tenants", Tenant.objects.visible_to(request.user)
    projects = Project.objects.visible_to(request.user)
    yield "projects", projects.select_related("tenant")
    apps = App.objects.visible_to(request.user)
    yield "apps", apps.select_related("project__tenant")


def _count(name: str, rows: "QuerySet[Declared]") -> JSON:
    """Count the rows of a kind by phase."""
    counted = rows.order_by().values_list("phase").annotate(count=Count("pk"))
    counts: dict[str, int] = dict(counted)
    by_phase = [(phase, counts[phase]) for phase in Phase if phase in counts]
    return {"name": name, "total": sum(counts.values()), "phases": by_phase}


def _since(row: Declared) -> datetime:
    return standing(row).since
