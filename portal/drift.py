"""Drift: what differs on clusters now, object by object, and what differed lately."""

from dataclasses import replace

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from portal.differences import AGES, CLASSES, MOST, chosen, grouped, judged, narrowed
from reconcile.models import Drift
from reconcile.pages.finding import PageRequest, page
from reconcile.pages.lists import page_of
from reconcile.pages.polling import Poll, fragment
from reconcile.values import JSON, digest
from tenancy.drift import Act, Powers
from tenancy.models import Tenant, TenantPlacement

_OBJECTS = 50
_RECENT = 20
_CHOICES = 200


@require_safe
@page
def drift(request: PageRequest) -> HttpResponse:
    """What differs, and what differed."""
    return render(request, "portal/drift.html", _drift(request))


@require_safe
@page
def drift_fragment(request: PageRequest) -> HttpResponse:
    """The part of it that moves, for as long as anything differs."""
    context = _drift(request)
    return fragment(request, "portal/_drift.html", context, context["poll"])


def _drift(request: PageRequest) -> JSON:
    wanted, powers = chosen(request.GET), Powers.of(request.user)
    rows = narrowed(request.user, wanted)
    found = list(rows.open()[: MOST + 1])
    objects = grouped(found[:MOST], powers)
    over = rows.exclude(resolution="").order_by("-resolved_at", "-pk")
    recent = page_of(request, over, _RECENT)
    shown = objects[:_OBJECTS]
    return {
        "chosen": wanted,
        "filtered": any(wanted.values()),
        "objects": shown,
        "count": len(found[:MOST]),
        "cut": len(found) > MOST or len(objects) > len(shown),
        "acts": [act for act in Act if any(act in each.may for each in objects)],
        "page": recent,
        "recent": [judged(each, powers) for each in recent],
        "query": kept(request.GET),
        "poll": _poll(request, found, list(recent)),
        **_choices(request),
    }


def _poll(request: PageRequest, found: list[Drift], recent: list[Drift]) -> Poll:
    """Follow what differs until nothing does."""
    face = [
        [each.pk, each.resolution, each.repair_requested_by, each.times, str(each.last_seen)]
        for each in (*found, *recent)
    ]
    poll = Poll.of(request, reverse("drift-state"), ())
    return replace(poll, seen=digest(face), settled=not found)


def kept(query: QueryDict) -> str:
    """Return the filters of a page as a query, for the pages that lead back to it."""
    return urlencode({name: value for name, value in chosen(query).items() if value})


def _choices(request: PageRequest) -> JSON:
    """What the filters offer: tenants of the caller, and the clusters that these are placed on."""
    tenants = Tenant.objects.visible_to(request.user)
    rows = TenantPlacement.objects.filter(tenant__in=tenants.values("pk"))
    clusters = rows.order_by("cluster__name").values_list("cluster__name", flat=True).distinct()
    return {
        "tenants": tenants.values_list("name", flat=True)[:_CHOICES],
        "clusters": list(clusters[:_CHOICES]),
        "classes": CLASSES.items(),
        "ages": [(value, label) for value, label, *_ in AGES],
    }
