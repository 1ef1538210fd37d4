"""Search: names of what a person may see, and correlation ids."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from access.models import KubeconfigGrant
from clusters.models import Cluster
from delivery.models import App
from policies.models import PolicySet
from reconcile.pages.finding import PageRequest, page
from reconcile.values import JSON
from tenancy.models import Project, Tenant
from tenancy.timeline import events_for

_EACH = 10
_LONGEST = 64


@require_safe
@page
def search(request: PageRequest) -> HttpResponse:
    """Results for `?q=`; as one types, only these are sent."""
    words = request.GET.get("q", "").strip()[:_LONGEST]
    context = {"q": words, **(_found(request, words) if words else {})}
    template = "portal/_search.html" if request.htmx else "portal/search.html"
    return render(request, template, context)


def _found(request: PageRequest, words: str) -> JSON:
    kinds: dict[str, tuple[Any, str]] = {
        "Tenants": (Tenant.objects, ""),
        "Projects": (Project.objects, "tenant"),
        "Apps": (App.objects, "project__tenant"),
        "Clusters": (Cluster.objects, ""),
        "Kubeconfigs": (KubeconfigGrant.objects, "tenant"),
        "Policies": (PolicySet.objects, ""),
    }
    groups = []
    for title, (rows, above) in kinds.items():
        named = rows.visible_to(request.user).filter(name__icontains=words)
        found = list((named.select_related(above) if above else named)[: _EACH + 1])
        if found:
            groups.append({"title": title, "rows": found[:_EACH], "more": len(found) > _EACH})
    events = events_for(request.user).filter(correlation_id=words)
    return {"groups": groups, "timeline": events.exists()}
